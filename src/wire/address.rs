//! The address of the Runtime API.

use std::{
    io,
    net::{Ipv4Addr, TcpStream},
    sync::Arc,
};

use http_req::{request::Method, uri::Uri};

use crate::{
    Error,
    wire::request::{Base, Call},
};

/// The base paths of the APIs, which contain their versions.
const RUNTIME: &str = "/2018-06-01/runtime";
#[cfg(feature = "shutdown")]
const EXTENSION: &str = "/2020-01-01/extension";

/// `host:port`, with an optional path that an emulator may need.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    host: Host,
    port: u16,
    bases: Arc<Bases>,
}

#[derive(Debug)]
struct Bases {
    get: Base,
    post: Base,
    #[cfg(feature = "shutdown")]
    extension: [Base; 2],
}

/// Lambda's Runtime API has an IPv4 address. The code for names and IPv6 addresses is optional, which keeps functions small.
#[derive(Clone, Debug, PartialEq)]
enum Host {
    Ip(Ipv4Addr),
    #[cfg(feature = "dns")]
    Name(String),
}

impl Host {
    fn parse(host: &str) -> Result<Self, &'static str> {
        if host.is_empty() {
            return Err("the host is missing");
        }
        if host == "localhost" {
            return Ok(Host::Ip(Ipv4Addr::LOCALHOST));
        }
        match host.parse() {
            Ok(ip) => Ok(Host::Ip(ip)),
            #[cfg(feature = "dns")]
            Err(_) => Ok(Host::Name(host.trim_matches(['[', ']']).to_owned())),
            #[cfg(not(feature = "dns"))]
            Err(_) => {
                Err("the host is not an IPv4 address; names and IPv6 addresses need the `dns` feature of lambda-musl")
            }
        }
    }
}

impl Address {
    pub fn parse(address: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::Address { address: address.to_owned(), reason, variable: None };
        if address.bytes().any(|byte| byte <= b' ') {
            return Err(invalid("it contains whitespace"));
        }
        let given = address.strip_prefix("http://").unwrap_or(address);
        let url = format!("http://{}", given.trim_end_matches('/'));
        let uri = Uri::try_from(&*url).map_err(|_| match given.starts_with(':') {
            true => invalid("the host is missing"),
            false => invalid("the port is not a number below 65536"),
        })?;
        let base = |method, api| Base::new(method, &uri, api);
        let bases = Bases {
            get: base(Method::GET, RUNTIME),
            post: base(Method::POST, RUNTIME),
            #[cfg(feature = "shutdown")]
            extension: [base(Method::GET, EXTENSION), base(Method::POST, EXTENSION)],
        };
        Ok(Address {
            host: Host::parse(uri.host().unwrap_or_default()).map_err(invalid)?,
            port: uri.corr_port(),
            bases: Arc::new(bases),
        })
    }

    pub fn connect(&self) -> io::Result<TcpStream> {
        match &self.host {
            Host::Ip(ip) => TcpStream::connect((*ip, self.port)),
            #[cfg(feature = "dns")]
            Host::Name(name) => TcpStream::connect((name.as_str(), self.port)),
        }
    }

    /// A GET call to the Runtime API.
    pub fn get<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call { base: &self.bases.get, path: [path, "", ""] }
    }

    /// A POST call to the Runtime API, with the path in parts.
    pub fn post<'a>(&'a self, path: [&'a str; 3]) -> Call<'a> {
        Call { base: &self.bases.post, path }
    }

    /// A GET call to the Extensions API.
    #[cfg(feature = "shutdown")]
    pub fn get_extension<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call { base: &self.bases.extension[0], path: [path, "", ""] }
    }

    /// A POST call to the Extensions API.
    #[cfg(feature = "shutdown")]
    pub fn post_extension<'a>(&'a self, path: &'a str) -> Call<'a> {
        Call { base: &self.bases.extension[1], path: [path, "", ""] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_an_optional_port_and_an_optional_path() {
        for (address, host, port, path) in [
            ("127.0.0.1", "127.0.0.1", 80, ""),
            ("127.0.0.1:9001", "127.0.0.1", 9001, ""),
            ("[::1]:9001", "::1", 9001, ""),
            ("[::1]", "::1", 80, ""),
            ("localhost:1/a/b", "127.0.0.1", 1, "/a/b"),
            ("10.0.0.1:1/", "10.0.0.1", 1, ""),
            ("http://10.0.0.1:1/a", "10.0.0.1", 1, "/a"),
        ] {
            let parsed = Address::parse(address).unwrap();
            let authority = address.trim_start_matches("http://").split('/').next().unwrap();
            let host = host.parse().map_or(Host::Name(host.into()), Host::Ip);
            assert_eq!((parsed.host.clone(), parsed.port), (host, port));
            assert_eq!(parsed.get("/x/y").to_string(), format!("GET http://{authority}{path}/2018-06-01/runtime/x/y"),);
        }
    }

    #[test]
    #[cfg(feature = "dns")]
    fn a_host_may_be_a_name() {
        let parsed = Address::parse("runtime.api:9001").unwrap();
        assert_eq!(parsed.host, Host::Name("runtime.api".into()));
    }

    #[test]
    #[cfg(not(feature = "dns"))]
    fn a_host_that_is_a_name_is_an_error_that_names_the_feature() {
        let error = Address::parse("runtime.api:9001").unwrap_err();
        assert!(error.to_string().contains("the `dns` feature"), "{error}");
    }

    #[test]
    fn the_error_for_an_invalid_address_contains_the_address() {
        for address in ["", ":9001", "http://", "1.2.3.4:99999", "1.2.3.4:http", "a b:1", "h:1/\r\n"] {
            let error = Address::parse(address).unwrap_err().to_string();
            assert!(error.contains(&format!("{address:?}")), "{error}");
            assert!(error.contains("expected host:port"), "{error}");
        }
    }
}
