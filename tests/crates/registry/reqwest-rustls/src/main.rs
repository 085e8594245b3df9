//! Asks a server that answers in plain HTTP for a page by HTTPS: the TLS library says what is wrong with that.

use std::{error::Error, io::Write, net::TcpListener, thread};

use lambda_musl::{Context, process};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_musl::Error> {
    process(async |expected: String, _: Context| says(&expected).await).await
}

async fn says(expected: &str) -> Result<bool, Box<dyn Error>> {
    let server = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("https://{}", server.local_addr()?);
    thread::spawn(move || {
        server
            .accept()?
            .0
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    });
    let error = reqwest::get(url).await.err().ok_or("this is no error")?;
    println!("{error:?}");
    Ok(format!("{error:?}").contains(expected))
}
