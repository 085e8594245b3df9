//! Where the Runtime API is.

use crate::Error;

/// The versions of the APIs that this crate speaks, as they stand in paths.
const RUNTIME: &str = "/2018-06-01/runtime";
#[cfg(feature = "shutdown")]
const EXTENSION: &str = "/2020-01-01/extension";

/// `host:port`, and a path where an emulator has one.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    /// A name or an IP address, without brackets.
    pub host: String,
    pub port: u16,
    /// `host:port` as it was given.
    pub authority: String,
    /// What stands before the paths of the AWS APIs: empty, or `/` and something.
    path: String,
}

impl Address {
    pub fn parse(address: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::Address {
            address: address.to_owned(),
            reason,
        };
        let (authority, path) = address.split_once('/').unwrap_or((address, ""));
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address without a port are inside its brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let port = port
                    .parse()
                    .map_err(|_| invalid("the port is no number below 65536"))?;
                (host, port)
            }
            _ => (authority, 80),
        };
        if host.is_empty() {
            return Err(invalid("the host is missing"));
        }
        if address.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(invalid("there is white space in it"));
        }
        let path = path.trim_end_matches('/');
        let slash = if path.is_empty() { "" } else { "/" };
        Ok(Address {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }

    /// The path of a call of the Runtime API; `call` begins with a slash.
    pub fn runtime(&self, call: &str) -> String {
        [&self.path, RUNTIME, call].concat()
    }

    /// The path of a call of the Extensions API; `call` begins with a slash.
    #[cfg(feature = "shutdown")]
    pub fn extension(&self, call: &str) -> String {
        [&self.path, EXTENSION, call].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_a_port_and_perhaps_a_path() {
        for (address, host, port, path) in [
            ("127.0.0.1", "127.0.0.1", 80, ""),
            ("127.0.0.1:9001", "127.0.0.1", 9001, ""),
            ("[::1]:9001", "::1", 9001, ""),
            ("[::1]", "::1", 80, ""),
            ("host:1/a/b", "host", 1, "/a/b"),
            ("host:1/", "host", 1, ""),
        ] {
            let parsed = Address::parse(address).unwrap();
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
            assert_eq!(
                parsed.runtime("/x"),
                format!("{path}/2018-06-01/runtime/x"),
                "{address}"
            );
        }
    }

    #[test]
    fn an_address_that_is_none_is_named_with_the_reason() {
        for address in [
            "",
            ":9001",
            "host:",
            "host:99999",
            "host:http",
            "a b:1",
            "h:1/\r\n",
        ] {
            let error = Address::parse(address).unwrap_err().to_string();
            assert!(error.contains(&format!("{address:?}")), "{error}");
            assert!(error.contains("expected host:port"), "{error}");
        }
    }
}
