//! What comes before the body of a streamed HTTP response.

use crate::failure::report;

/// The content type of a stream that begins with a prelude.
pub(crate) const HTTP_INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// What parts the prelude from the body.
pub(crate) const END: [u8; 8] = [0; 8];

/// A status, headers and cookies.
#[derive(Debug)]
pub(crate) struct Prelude {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub cookies: Vec<String>,
}

impl Default for Prelude {
    fn default() -> Self {
        Prelude {
            status: 200,
            headers: Vec::new(),
            cookies: Vec::new(),
        }
    }
}

impl Prelude {
    pub fn header(&mut self, name: &str, value: &str) {
        let mut headers = self.headers.iter_mut();
        match headers.find(|(key, _)| key.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.extend([", ", value]),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    /// The prelude with its end; `content_type` goes with the headers unless it is there already.
    pub fn to_bytes(&self, content_type: &str) -> Vec<u8> {
        let is_content_type =
            |(name, _): &&(String, String)| name.eq_ignore_ascii_case("Content-Type");
        let content_type = match self.headers.iter().find(is_content_type) {
            Some(_) => None,
            None => Some(("Content-Type", content_type)),
        };
        let headers = self.headers.iter().map(|(name, value)| (&**name, &**value));
        let mut json = format!("{{\"statusCode\":{},\"headers\":{{", self.status).into_bytes();
        report::list(
            &mut json,
            content_type.into_iter().chain(headers),
            |json, (name, value)| {
                report::text(json, name);
                json.push(b':');
                report::text(json, value);
            },
        );
        json.extend(b"},\"cookies\":");
        report::texts(&mut json, &self.cookies);
        json.push(b'}');
        json.extend(END);
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_prelude_is_json_and_eight_nuls() {
        let mut prelude = Prelude::default();
        prelude.header("X", "a\0b");
        prelude.header("x", "2");
        prelude.cookies.push("a=b".into());
        let bytes = prelude.to_bytes("text/html");
        let (json, end) = bytes.split_at(bytes.len() - 8);
        assert_eq!(end, [0; 8]);
        assert_eq!(
            serde_json::from_slice::<Value>(json).unwrap(),
            json!({
                "statusCode": 200,
                "headers": {"Content-Type": "text/html", "X": "a\0b, 2"},
                "cookies": ["a=b"],
            })
        );
        assert!(!json.contains(&0), "the first NUL is the end");
    }

    #[test]
    fn a_content_type_among_the_headers_wins() {
        let mut prelude = Prelude::default();
        prelude.header("content-type", "a/b");
        let bytes = prelude.to_bytes("text/html");
        assert!(!String::from_utf8(bytes).unwrap().contains("text/html"));
    }
}
