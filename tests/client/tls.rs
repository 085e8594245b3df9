//! HTTPS, tested in a separate process that trusts the certificate authority of this test.

use std::{
    env,
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lambda_musl::client::{self, Error, Request};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{https, server::read_request};

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// The deadline of each case, and how late a request may end.
const DEADLINE: Duration = Duration::from_millis(800);
const LATE: Duration = Duration::from_millis(500);

/// Passes each connection to `converse`. Returns the port and the number of connections so far.
fn listen(converse: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::<AtomicUsize>::default();
    let (converse, counted) = (Arc::new(converse), Arc::clone(&count));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::Relaxed);
            let converse = Arc::clone(&converse);
            thread::spawn(move || converse(stream));
        }
    });
    (port, count)
}

/// As `listen`, but over TLS, and passes each connection to `converse` only after its request has been read.
fn serve(
    config: &Arc<ServerConfig>, converse: impl Fn(&mut Stream) -> io::Result<()> + Send + Sync + 'static,
) -> (u16, Arc<AtomicUsize>) {
    let config = Arc::clone(config);
    listen(move |stream| {
        let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        match read_request(&mut stream) {
            Some(_) => converse(&mut stream),
            None => Ok(()),
        }
    })
}

fn close_notify(stream: &mut Stream) -> io::Result<()> {
    stream.conn.send_close_notify();
    stream.flush()
}

fn hold(stream: &mut impl Read) -> io::Result<()> {
    stream.read_to_end(&mut Vec::new()).map(drop)
}

fn get(url: String) -> Result<String, Error> {
    let start = Instant::now();
    let answer = Request::get(url).timeout(DEADLINE).send();
    assert!(start.elapsed() < DEADLINE + LATE, "{:?}", start.elapsed());
    answer.map(|answer| answer.text().unwrap().to_owned())
}

#[test]
fn a_response_over_https_is_complete_or_an_error_of_the_right_kind() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tls::trusting", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", directory.path().join("ca.pem"))
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "a process that another test starts"]
fn trusting() {
    let authority = env::var("SSL_CERT_FILE").unwrap();
    let config = Arc::new(https::config(Path::new(&authority)));
    answers(&config);
    cuts(&config);
    handshakes(&config);
    connections(&config);
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
const TO_THE_END: &str = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\nabc";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";

fn answers(config: &Arc<ServerConfig>) {
    for (what, bytes, announced) in [
        ("a length and close_notify", WHOLE.to_owned(), true),
        ("a length and no close_notify", WHOLE.to_owned(), false),
        ("chunks and no close_notify", format!("{CHUNKED}0\r\n\r\n"), false),
        ("the end of the connection, with close_notify", TO_THE_END.to_owned(), true),
    ] {
        let (port, _) = serve(config, move |stream| {
            stream.write_all(bytes.as_bytes())?;
            if announced { close_notify(stream) } else { Ok(()) }
        });
        let answer = get(format!("https://localhost:{port}/"));
        assert_eq!(answer.unwrap(), "abc", "{what}");
    }
}

fn cuts(config: &Arc<ServerConfig>) {
    for (bytes, announced) in [
        (TO_THE_END, false),
        (CHUNKED, true),
        (CHUNKED, false),
        (&WHOLE[..WHOLE.len() - 1], true),
        (&WHOLE[..WHOLE.len() - 1], false),
        (&WHOLE[..20], true),
        (&WHOLE[..20], false),
    ] {
        let (port, _) = serve(config, move |stream| {
            stream.write_all(bytes.as_bytes())?;
            stream.flush()?;
            if announced { close_notify(stream) } else { Ok(()) }
        });
        let error = get(format!("https://localhost:{port}/")).unwrap_err();
        assert!(matches!(error, Error::Cut { .. }), "{bytes:?}, {announced}: {error}");
    }
    let (port, _) = serve(config, |_| Ok(()));
    let error = get(format!("https://localhost:{port}/")).unwrap_err();
    assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
    let (port, _) = serve(config, |stream| {
        stream.write_all(&WHOLE.as_bytes()[..WHOLE.len() - 1])?;
        hold(stream)
    });
    let error = get(format!("https://localhost:{port}/")).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    // Unencrypted bytes in the middle of a response.
    let (port, _) = serve(config, |stream| {
        stream.write_all(&WHOLE.as_bytes()[..WHOLE.len() - 1])?;
        stream.sock.write_all(b"not a record of TLS")?;
        hold(stream)
    });
    let error = get(format!("https://localhost:{port}/")).unwrap_err();
    assert!(matches!(error, Error::Cut { .. }), "{error}");
}

fn handshakes(config: &Arc<ServerConfig>) {
    // A certificate of an untrusted authority, and a certificate for a different name.
    let directory = tempfile::tempdir().unwrap();
    let other = Arc::new(https::config(&directory.path().join("ca.pem")));
    let (unknown, _) = serve(&other, |stream| stream.write_all(WHOLE.as_bytes()));
    let (known, _) = serve(config, |stream| stream.write_all(WHOLE.as_bytes()));
    for (url, reason) in [
        (format!("https://localhost:{unknown}/"), "certificate verify failed"),
        (format!("https://127.0.0.1:{known}/"), "mismatch"),
    ] {
        let error = get(url).unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let (plain, _) = listen(|mut stream| stream.write_all(WHOLE.as_bytes()));
    let (closed, _) = listen(|stream| stream.shutdown(Shutdown::Both));
    for port in [plain, closed] {
        let error = get(format!("https://localhost:{port}/")).unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{error}");
    }
    let (silent, _) = listen(|mut stream| hold(&mut stream));
    // Each wait is short, but the waits never end.
    let (dripping, _) = listen(|mut stream| {
        stream.write_all(&[22, 3, 3, 64, 0])?;
        loop {
            stream.write_all(&[2])?;
            thread::sleep(Duration::from_millis(50));
        }
    });
    for port in [silent, dripping] {
        let error = get(format!("https://localhost:{port}/")).unwrap_err();
        assert!(matches!(error, Error::Timeout { .. }), "{error}");
        assert!(error.to_string().contains("still connecting"), "{error}");
    }
}

fn connections(config: &Arc<ServerConfig>) {
    let (port, count) = serve(config, |stream| {
        for _ in 0..3 {
            stream.write_all(WHOLE.as_bytes())?;
            if read_request(stream).is_none() {
                break;
            }
        }
        Ok(())
    });
    let url = format!("https://localhost:{port}/");
    for _ in 0..3 {
        assert_eq!(client::get(&url).unwrap().status(), 200);
    }
    assert_eq!(count.load(Ordering::Relaxed), 1, "one connection for three requests");

    // The server closes each connection properly after its response.
    let (port, count) = serve(config, |stream| {
        stream.write_all(WHOLE.as_bytes())?;
        close_notify(stream)
    });
    let url = format!("https://localhost:{port}/");
    for _ in 0..3 {
        assert_eq!(client::get(&url).unwrap().status(), 200);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(count.load(Ordering::Relaxed), 3);
}
