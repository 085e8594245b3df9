//! Requests a page over HTTPS from a server that ends the handshake with an alert, and checks that the TLS library reports it.

use std::{error::Error, io::Read, io::Write, net::TcpListener, thread};

use lambda_musl::{Context, process};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(async |expected: String, _: Context| reports_alert(&expected).await).await
}

async fn reports_alert(expected: &str) -> Result<bool, Box<dyn Error>> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("https://{}", server.local_addr()?);
    thread::spawn(move || {
        let (mut client, _) = server.accept()?;
        client.read(&mut [0; 4096])?;
        client.write_all(b"\x15\x03\x03\x00\x02\x02\x28")
    });
    let error = reqwest::get(url).await.err().ok_or("the request succeeded")?;
    println!("{error:?}");
    Ok(format!("{error:?}").contains(expected))
}
