//! Sums numbers in an in-memory database, and connects over TLS to a server that ends the handshake with an alert.

use std::{error::Error, io::Read, io::Write, net::TcpListener, thread};

use lambda_musl::{Context, process};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, SqliteConnection};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(async |numbers: Vec<i64>, _: Context| query(numbers).await).await
}

async fn query(numbers: Vec<i64>) -> Result<Value, Box<dyn Error>> {
    let mut database = SqliteConnection::connect("sqlite::memory:").await?;
    let sum = "SELECT sum(value) FROM json_each(?)";
    let sum = sqlx::query_scalar::<_, i64>(sum).bind(serde_json::to_string(&numbers)?);
    let sum = sum.fetch_one(&mut database).await?;

    let server = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("postgres://me@{}/numbers?sslmode=require", server.local_addr()?);
    thread::spawn(move || {
        let (mut client, _) = server.accept()?;
        client.read_exact(&mut [0; 8])?;
        client.write_all(b"S")?;
        client.read(&mut [0; 4096])?;
        client.write_all(b"\x15\x03\x03\x00\x02\x02\x28")
    });
    let error = PgConnection::connect(&url).await.err().ok_or("the connection succeeded")?;
    println!("{error}");
    let postgres = error.to_string().contains("alert handshake failure");
    Ok(json!({ "sum": sum, "postgres": postgres }))
}
