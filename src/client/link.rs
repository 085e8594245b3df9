//! Connections: opened within a deadline, and kept for the next request.

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

/// Connections that are kept at most, to all servers together.
const MAX_KEPT: usize = 8;

/// How long a connection may rest: load balancers and address translation of AWS forget it after a minute and more.
const MAX_REST: Duration = Duration::from_secs(50);

/// The connections that nobody uses, the last one used at the end.
static KEPT: Mutex<Vec<Kept>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Kept {
    origin: String,
    socket: Socket<Link>,
    /// By the clock on the wall: another may stand still while Lambda freezes the function.
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

/// A kept connection to the same server that still seems to be one.
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

/// Keeps a connection, unless it has said what no request asked for.
pub(super) fn keep(origin: &str, socket: Socket<Link>) {
    if !socket.leftovers().is_empty() {
        return;
    }
    let kept = Kept {
        origin: origin.to_owned(),
        socket,
        since: SystemTime::now(),
    };
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let oldest = (all.len() == MAX_KEPT).then(|| all.remove(0));
    all.push(kept);
    // Closing it needs no lock.
    drop(all);
    drop(oldest);
}

pub(super) fn open(url: &Url, deadline: Instant) -> Result<Socket<Link>, Error> {
    let uri = url.uri();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let addresses = resolve(host, deadline).map_err(|source| Error::Resolve {
        host: host.to_owned(),
        source,
    })?;
    let timed = connect(&addresses, uri.corr_port(), deadline)
        .and_then(|stream| Timed::new(stream, Some(deadline)))
        .map_err(|source| Error::Connect {
            address: url.authority().to_owned(),
            source,
        })?;
    let link = match url.is_https() {
        false => Link::Plain(timed),
        #[cfg(feature = "tls")]
        true => tls::connect(host, timed)?,
        #[cfg(not(feature = "tls"))]
        true => {
            return Err(Error::Url {
                url: url.as_str().to_owned(),
                reason: "https needs the feature tls of lambda-musl",
            });
        }
    };
    Ok(Socket::new(link))
}

/// Tries one address after the other: each has its share of the time, so that one that never answers leaves some.
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

/// Over native-tls, as http_req's own TLS does not say why a handshake failed, reads all certificates anew for each
/// connection, and has no deadline but one for each wait.
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

    /// What is beneath TLS: its end is an error unless TLS has announced it (close_notify; RFC 8446, section 6.1). Anyone
    /// on the way can end a connection, and not every version of OpenSSL tells the one end from the other.
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
        // It reads the certificates of the authorities, which takes longer than a handshake.
        static CONNECTOR: OnceLock<TlsConnector> = OnceLock::new();
        let failed = |source| Error::Tls {
            host: host.to_owned(),
            source,
        };
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
            // No wait ends so.
            Err(HandshakeError::WouldBlock(_)) => Err(failed("it does not go on".into())),
        }
    }
}
