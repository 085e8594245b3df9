//! The function without a runtime: a loop over a socket that knows this one exchange and trusts its peer. What it takes
//! is what no runtime can do without.

use std::{
    env, io,
    io::{Read, Write},
    net::TcpStream,
    thread,
};

use serde_json::Value;

fn main() -> io::Result<()> {
    let workers = env::var("AWS_LAMBDA_MAX_CONCURRENCY");
    let workers = workers.ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for _ in 1..workers {
        thread::spawn(|| serve().expect("the Runtime API"));
    }
    serve()
}

fn serve() -> io::Result<()> {
    let address = env::var("AWS_LAMBDA_RUNTIME_API").expect("AWS_LAMBDA_RUNTIME_API");
    let mut stream = TcpStream::connect(&address)?;
    stream.set_nodelay(true)?;
    let next =
        format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut buffer = vec![0; 8192];
    loop {
        stream.write_all(next.as_bytes())?;
        let (head, event) = read(&mut stream, &mut buffer)?;
        let id = header(&head, "Lambda-Runtime-Aws-Request-Id: ");
        let answer = serde_json::to_vec(&echo(serde_json::from_slice(&event)?))?;
        let head = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: {address}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        // One write for what is short, none that copies what is long.
        if answer.len() < 4096 {
            stream.write_all(&[head.as_bytes(), &answer].concat())?;
        } else {
            stream.write_all(head.as_bytes())?;
            stream.write_all(&answer)?;
        }
        read(&mut stream, &mut buffer)?;
    }
}

fn echo(event: Value) -> Value {
    event
}

/// A head and a body. The peer sends nothing that was not asked for, so nothing is left over.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<(String, Vec<u8>)> {
    let mut filled = 0;
    let end = loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
        if let Some(at) = buffer[..filled]
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
        {
            break at + 4;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
    let length = header(&head, "Content-Length: ").parse().expect("a length");
    let mut body = Vec::with_capacity(length);
    body.extend(&buffer[end..filled]);
    stream
        .take((length - body.len()) as u64)
        .read_to_end(&mut body)?;
    Ok((head, body))
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let (_, rest) = head.split_once(name).unwrap_or_default();
    rest.split_once("\r\n").unwrap_or_default().0
}
