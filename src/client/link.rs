//! Connections, which are opened within a deadline and kept for later requests.

use std::{
    fmt::Debug,
    io::{self, Read, Write},
    net::TcpStream,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use http_req::stream::connect_with_timeout;

use crate::{
    client::{error::Error, resolve::resolve, url::Url},
    wire::socket::{Socket, Timed, left},
};

/// The maximum number of kept connections, to all servers together.
const MAX_KEPT: usize = 8;

/// How long an idle connection is kept. AWS's load balancers and address translation drop idle ones after a minute or more.
const MAX_REST: Duration = Duration::from_secs(50);

/// The idle connections, with the most recently used one at the end.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Kept {
    origin: String,
    socket: Socket<Box<dyn Link>>,
    /// Wall-clock time: a monotonic clock may stop while the function is frozen.
    since: SystemTime,
}

/// A connection, encrypted or not.
pub(super) trait Link: Read + Write + Debug + Send {
    /// The connection below TLS.
    fn timed(&mut self) -> &mut Timed;
}

impl Link for Timed {
    fn timed(&mut self) -> &mut Timed {
        self
    }
}

/// Takes a kept connection to `origin`, if one still seems to be open.
pub(super) fn take(origin: &str, deadline: Instant) -> Option<Socket<Box<dyn Link>>> {
    loop {
        let mut kept = {
            let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            let index = all.iter().rposition(|kept| kept.origin == origin)?;
            all.remove(index)
        };
        let rested = kept.since.elapsed();
        let timed = kept.socket.stream_mut().timed();
        let usable = rested.is_ok_and(|rested| rested < MAX_REST)
            && timed.is_quiet()
            && timed.set_deadline(Some(deadline)).is_ok();
        if usable {
            return Some(kept.socket);
        }
    }
}

/// Keeps a connection, unless the server has sent unexpected data.
pub(super) fn keep(origin: &str, socket: Socket<Box<dyn Link>>) {
    if !socket.leftovers().is_empty() {
        return;
    }
    let kept = Kept { origin: origin.to_owned(), socket, since: SystemTime::now() };
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let oldest = (all.len() == MAX_KEPT).then(|| all.remove(0));
    all.push(kept);
    // Release the lock before closing the oldest connection.
    drop(all);
    drop(oldest);
}

pub(super) fn open(url: &Url, deadline: Instant) -> Result<Socket<Box<dyn Link>>, Error> {
    let uri = url.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let addresses = resolve(host, deadline).map_err(|source| Error::Resolve { host: host.to_owned(), source })?;
    let timed = connect(&addresses, uri.corr_port(), deadline)
        .and_then(|stream| Timed::new(stream, Some(deadline)))
        .map_err(|source| Error::Connect { address: url.authority().to_owned(), source })?;
    let link: Box<dyn Link> = match url.is_https() {
        false => Box::new(timed),
        #[cfg(feature = "tls")]
        true => Box::new(tls::connect(host, timed)?),
        #[cfg(not(feature = "tls"))]
        true => {
            return Err(Error::Url {
                url: url.as_str().to_owned(),
                reason: "HTTPS needs the `tls` feature of lambda-musl",
            });
        }
    };
    Ok(Socket::new(link))
}

/// Tries the addresses in order. Each gets an equal share of the remaining time, so that one that never responds leaves time
/// for the others.
fn connect(addresses: &[std::net::IpAddr], port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut end = Err(io::ErrorKind::AddrNotAvailable.into());
    for (address, others) in addresses.iter().zip((1..=addresses.len() as u32).rev()) {
        end = connect_with_timeout(address.to_string(), port, left(deadline)? / others);
        if end.is_ok() {
            break;
        }
    }
    end
}

/// TLS connections. This module uses native-tls directly, because http_req's own TLS does not report why a handshake failed,
/// reads all certificates again for each connection, and has a timeout for each wait instead of a deadline.
#[cfg(feature = "tls")]
mod tls {
    use std::{
        io::{self, ErrorKind, Read, Write},
        sync::OnceLock,
    };

    use native_tls::{HandshakeError, TlsConnector, TlsStream};

    use crate::{
        client::{error::Error, link::Link},
        wire::socket::Timed,
    };

    /// The connection below TLS. Its end is an error unless TLS has announced it (close_notify; RFC 8446, section 6.1). An
    /// attacker on the network can close a connection, and not every version of OpenSSL distinguishes that from an
    /// announced end.
    #[derive(Debug)]
    pub(super) struct Announced(Timed);

    impl Read for Announced {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            match self.0.read(room) {
                Ok(0) if !room.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
                read => read,
            }
        }
    }

    impl Write for Announced {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    impl Link for TlsStream<Announced> {
        fn timed(&mut self) -> &mut Timed {
            &mut self.get_mut().0
        }
    }

    pub(super) fn connect(host: &str, timed: Timed) -> Result<TlsStream<Announced>, Error> {
        // Creating a connector reads all CA certificates, which takes longer than a handshake.
        static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
        let failed = |source| Error::Tls { host: host.to_owned(), source };
        let connector = match CONNECTOR.get() {
            Some(connector) => connector,
            None => {
                let connector = TlsConnector::new().map_err(|error| failed(error.into()))?;
                CONNECTOR.get_or_init(|| connector)
            }
        };
        match connector.connect(host, Announced(timed)) {
            Ok(stream) => Ok(stream),
            Err(HandshakeError::Failure(error)) => Err(failed(error.into())),
            // With a deadline, `Timed` never returns `WouldBlock`.
            Err(HandshakeError::WouldBlock(_)) => Err(failed("it did not complete".into())),
        }
    }
}
