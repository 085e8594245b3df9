//! Connections, which are opened within a deadline and kept for later requests.

use std::{
    io::{self, IoSlice, Read, Write},
    net::TcpStream,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use http_req::stream::connect_with_timeout;

use crate::{
    client::{error::Error, resolve::resolve, url::Url},
    wire::socket::{Socket, Timed, left},
};

/// The maximum number of kept connections to all servers.
const MAX_KEPT: usize = 8;

/// How long an idle connection is kept. AWS's load balancers and address translation drop one after a minute or more.
const MAX_REST: Duration = Duration::from_secs(50);

/// The idle connections, with the most recently used one at the end.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Kept {
    origin: String,
    socket: Socket<Link>,
    /// Wall-clock time: a monotonic clock may stop while Lambda freezes the function.
    since: SystemTime,
}

/// A connection, encrypted or not.
#[derive(Debug)]
pub(super) enum Link {
    Plain(Timed),
    #[cfg(feature = "tls")]
    Tls(Box<native_tls::TlsStream<tls::Announced>>),
}

impl Link {
    fn timed(&self) -> &Timed {
        match self {
            Link::Plain(timed) => timed,
            #[cfg(feature = "tls")]
            Link::Tls(stream) => &stream.get_ref().0,
        }
    }

    fn timed_mut(&mut self) -> &mut Timed {
        match self {
            Link::Plain(timed) => timed,
            #[cfg(feature = "tls")]
            Link::Tls(stream) => &mut stream.get_mut().0,
        }
    }
}

impl Read for Link {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Plain(timed) => timed.read(room),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.read(room),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Plain(timed) => timed.write(bytes),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.write(bytes),
        }
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Link::Plain(timed) => timed.write_vectored(parts),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.write_vectored(parts),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Plain(timed) => timed.flush(),
            #[cfg(feature = "tls")]
            Link::Tls(stream) => stream.flush(),
        }
    }
}

/// Takes a kept connection to the same server that still seems to be open.
pub(super) fn take(origin: &str, deadline: Instant) -> Option<Socket<Link>> {
    loop {
        let mut kept = {
            let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            let index = all.iter().rposition(|kept| kept.origin == origin)?;
            all.remove(index)
        };
        let rested = kept.since.elapsed();
        let link = kept.socket.stream_mut();
        let usable = rested.is_ok_and(|rested| rested < MAX_REST)
            && link.timed().is_quiet()
            && link.timed_mut().set_deadline(Some(deadline)).is_ok();
        if usable {
            return Some(kept.socket);
        }
    }
}

/// Keeps a connection, unless the server has sent unexpected data.
pub(super) fn keep(origin: &str, socket: Socket<Link>) {
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

pub(super) fn open(url: &Url, deadline: Instant) -> Result<Socket<Link>, Error> {
    let uri = url.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let addresses = resolve(host, deadline).map_err(|source| Error::Resolve { host: host.to_owned(), source })?;
    let timed = connect(&addresses, uri.corr_port(), deadline)
        .and_then(|stream| Timed::new(stream, Some(deadline)))
        .map_err(|source| Error::Connect { address: url.authority().to_owned(), source })?;
    let link = match url.is_https() {
        false => Link::Plain(timed),
        #[cfg(feature = "tls")]
        true => tls::connect(host, timed)?,
        #[cfg(not(feature = "tls"))]
        true => {
            return Err(Error::Url {
                url: url.as_str().to_owned(),
                reason: "HTTPS needs the feature tls of lambda-musl",
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
pub(super) mod tls {
    use std::{
        io::{self, ErrorKind, Read, Write},
        sync::OnceLock,
    };

    use native_tls::{HandshakeError, TlsConnector};

    use crate::{
        client::{error::Error, link::Link},
        wire::socket::Timed,
    };

    /// The connection below TLS. Its end is an error unless TLS has announced it (close_notify; RFC 8446, section 6.1). An
    /// attacker on the network can close a connection, and not every version of OpenSSL distinguishes that from an
    /// announced end.
    #[derive(Debug)]
    pub(in crate::client) struct Announced(pub Timed);

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

    pub(super) fn connect(host: &str, timed: Timed) -> Result<Link, Error> {
        // Creating a connector reads the certificates of the authorities, which takes longer than a handshake.
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
            Ok(stream) => Ok(Link::Tls(Box::new(stream))),
            Err(HandshakeError::Failure(error)) => Err(failed(error.into())),
            // With a deadline, `Timed` never returns `WouldBlock`.
            Err(HandshakeError::WouldBlock(_)) => Err(failed("it did not complete".into())),
        }
    }
}
