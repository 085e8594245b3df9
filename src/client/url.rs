//! The URL of a request.

use std::net::Ipv6Addr;

use http_req::uri::Uri;

use crate::client::error::Error;

/// A URL in a form that http_req's [`Uri`] parses correctly: with a lowercase scheme and a path, and without a user or fragment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Url {
    text: String,
    /// The position at which the path begins.
    path: usize,
}

impl Url {
    pub fn parse(url: &str) -> Result<Self, Error> {
        let refused = |reason| Error::Url { url: url.to_owned(), reason };
        if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err(refused(
                "it contains whitespace or control characters; percent-encode them, for example as %20",
            ));
        }
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
            _ => return Err(refused("it must start with https:// or http://")),
        };
        // The fragment is not sent (RFC 9110, section 7.1).
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(refused("it contains a user name; send credentials in the Authorization header"));
        }
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address without a port are inside its brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        if host.is_empty() {
            return Err(refused("it has no host"));
        }
        let is_ipv6 = |host: &str| {
            let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
            address.is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        };
        let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if !host.bytes().all(in_names) && !is_ipv6(host) {
            return Err(refused("the host is neither an IP address nor a name in ASCII (Punycode)"));
        }
        let default: u16 = if scheme == "https" { 443 } else { 80 };
        let port = match port {
            "" => default,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| refused("the port is not a number below 65536"))?
            }
            _ => return Err(refused("the port is not a number below 65536")),
        };
        let mut text = format!("{scheme}://{}", host.to_ascii_lowercase());
        if port != default {
            text += &format!(":{port}");
        }
        let path = text.len();
        if !resource.starts_with('/') {
            text.push('/');
        }
        for byte in resource.bytes() {
            match byte.is_ascii() {
                true => text.push(byte.into()),
                false => text += &format!("%{byte:02X}"),
            }
        }
        let url = Url { text, path };
        match Uri::try_from(&*url.text) {
            Ok(_) => Ok(url),
            Err(_) => Err(refused("http_req cannot parse it")),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn uri(&self) -> Uri<'_> {
        Uri::try_from(&*self.text).expect("a URL that was parsed")
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> &str {
        &self.text[..self.path]
    }

    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Host and port, in the form of the `Host` header.
    pub fn authority(&self) -> &str {
        self.origin().split('/').nth(2).unwrap_or_default()
    }

    /// Resolves a `Location` relative to this URL (RFC 3986, section 5.2). http_req's `from_relative` mistakes `//host` for a
    /// path and also searches the query for slashes.
    pub fn join(&self, location: &str) -> Result<Self, Error> {
        let location = location.replace(' ', "%20");
        let end = location.find(['/', '?', '#']).unwrap_or(location.len());
        let is_absolute = location[..end].contains(':');
        let (base, _) = self.text.split_once('?').unwrap_or((&self.text, ""));
        let whole = match location.as_bytes() {
            _ if is_absolute => location,
            [b'/', b'/', ..] => {
                let (scheme, _) = self.text.split_once("//").unwrap_or_default();
                [scheme, &location].concat()
            }
            [b'/', ..] => [self.origin(), &location].concat(),
            [b'?', ..] => [base, &location].concat(),
            [] | [b'#', ..] => self.text.clone(),
            _ => {
                let directory = base.rfind('/').map_or(base, |slash| &base[..=slash]);
                [directory, &location].concat()
            }
        };
        let mut url = Url::parse(&whole)?;
        url.remove_dots();
        Ok(url)
    }

    /// Removes `.` and `..` from the path (RFC 3986, section 5.2.4).
    fn remove_dots(&mut self) {
        let resource = self.text.split_off(self.path);
        let (path, query) = resource.split_at(resource.find('?').unwrap_or(resource.len()));
        let mut segments: Vec<&str> = Vec::new();
        let mut rest = path.split('/').skip(1).peekable();
        while let Some(segment) = rest.next() {
            let is_last = rest.peek().is_none();
            match segment {
                "." | ".." => {
                    if segment == ".." {
                        segments.pop();
                    }
                    if is_last {
                        segments.push("");
                    }
                }
                _ => segments.push(segment),
            }
        }
        for segment in segments {
            self.text.push('/');
            self.text += segment;
        }
        if self.text.len() == self.path {
            self.text.push('/');
        }
        self.text += query;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_req_parses_every_accepted_url_correctly() {
        for (url, host, port, resource, authority) in [
            ("https://h", "h", 443, "/", "h"),
            ("HTTP://H/", "h", 80, "/", "h"),
            ("https://h?q", "h", 443, "/?q", "h"),
            ("https://h#f", "h", 443, "/", "h"),
            ("https://h?q#f", "h", 443, "/?q", "h"),
            ("https://h/a?b=/c//d#e?f", "h", 443, "/a?b=/c//d", "h"),
            ("http://h:443/", "h", 443, "/", "h:443"),
            ("https://h:80/", "h", 80, "/", "h:80"),
            ("https://h:443/", "h", 443, "/", "h"),
            ("https://h:/", "h", 443, "/", "h"),
            ("http://[::1]/a", "[::1]", 80, "/a", "[::1]"),
            ("http://[::1]:8/a", "[::1]", 8, "/a", "[::1]:8"),
            ("http://h//a", "h", 80, "//a", "h"),
            ("http://h/a@b:c", "h", 80, "/a@b:c", "h"),
            ("http://h/../a/./b", "h", 80, "/../a/./b", "h"),
            ("http://h/ä?ö", "h", 80, "/%C3%A4?%C3%B6", "h"),
            ("http://h?a/b", "h", 80, "/?a/b", "h"),
        ] {
            let parsed = Url::parse(url).unwrap();
            let uri = parsed.uri();
            let read = (uri.host().unwrap(), uri.corr_port(), uri.resource());
            assert_eq!(read, (host, port, resource), "{url}");
            assert_eq!(parsed.authority(), authority, "{url}");
        }
    }

    #[test]
    fn an_invalid_url_is_an_error_with_the_reason() {
        for (url, reason) in [
            ("", "start with https://"),
            ("h/a", "start with https://"),
            ("gopher://h", "start with https://"),
            ("https:h", "start with https://"),
            ("https:€//h", "start with https://"),
            ("https://", "no host"),
            ("https:///a", "no host"),
            ("https://:80", "no host"),
            ("https://?a", "no host"),
            ("https://a b/", "whitespace"),
            ("https://h/a\r\nb", "whitespace"),
            ("https://h/\0", "whitespace"),
            ("https://u:p@h/", "Authorization"),
            ("https://h:+80/", "the port"),
            ("https://h:65536/", "the port"),
            ("https://h:http/", "the port"),
            ("https://ä/", "Punycode"),
            ("https://h\\i/", "Punycode"),
            ("https://[::1/", "Punycode"),
            ("https://[h]/", "Punycode"),
            ("https://::1/", "Punycode"),
            ("https://h%41/", "Punycode"),
        ] {
            let error = Url::parse(url).unwrap_err().to_string();
            assert!(error.contains(&format!("{url:?} is not a URL")), "{error}");
            assert!(error.contains(reason), "{url:?}: {error}");
        }
    }

    #[test]
    fn a_location_is_resolved_as_in_rfc_3986() {
        let base = Url::parse("http://a/b/c/d;p?q").unwrap();
        // The examples of RFC 3986, section 5.4, and more.
        for (location, url) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("../../..", "http://a/"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/../h", "http://a/b/c/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("https://h:8/i", "https://h:8/i"),
            ("//h:8?i", "http://h:8/?i"),
            ("/a b/ä", "http://a/a%20b/%C3%A4"),
            ("g:h", ""),
            ("ftp://h/", ""),
            ("http:g", ""),
        ] {
            match base.join(location) {
                Ok(joined) => assert_eq!(joined.as_str(), url, "{location}"),
                Err(error) => assert!(url.is_empty(), "{location}: {error}"),
            }
        }
    }
}
