//! The events of HTTP requests.

use std::{
    borrow::Cow,
    fmt,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::{Value, value::RawValue};

/// The service that sent a request to the function. It determines the form of the event and of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A [function URL](https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html).
    FunctionUrl,
    /// An HTTP API of API Gateway, with the [payload format 2.0].
    ///
    /// [payload format 2.0]: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    HttpApi,
    /// A [REST API] of API Gateway, or an HTTP API with the payload format 1.0.
    ///
    /// [REST API]: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html
    RestApi,
    /// A [WebSocket API] of API Gateway.
    ///
    /// [WebSocket API]: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-integration-requests.html
    WebSocketApi,
    /// An [Application Load Balancer], with or without multi-value headers.
    ///
    /// [Application Load Balancer]: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html
    LoadBalancer,
    /// A service of [VPC Lattice], with events of version 1 or 2.
    ///
    /// [VPC Lattice]: https://docs.aws.amazon.com/vpc-lattice/latest/ug/lambda-functions.html
    Lattice,
}

/// The original event of a request, available from the request's [extensions](http::Request::extensions).
///
/// ```
/// use lambda_musl::http::{Body, Event, Request};
/// use serde_json::Value;
///
/// async fn version(request: Request<Body>) -> Option<String> {
///     let event: Value = request.extensions().get::<Event>()?.json().ok()?;
///     Some(event["version"].as_str()?.to_owned())
/// }
/// ```
#[derive(Clone)]
pub struct Event {
    pub(super) bytes: Bytes,
    pub(super) path_parameters: Bytes,
    pub(super) stage_variables: Bytes,
}

impl Event {
    /// Returns the JSON as received.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Parses the event as a type of your choice, such as [`Value`].
    ///
    /// # Errors
    ///
    /// Returns an error if the event does not match `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.bytes)
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Event({} bytes)", self.bytes.len())
    }
}

/// The request context of an event, with information about the request and its client, available from the request's
/// [extensions](http::Request::extensions). It is parsed on first access.
///
/// ```
/// use lambda_musl::http::{Body, Request, RequestContext};
///
/// async fn subject(request: Request<Body>) -> Option<String> {
///     let context = request.extensions().get::<RequestContext>()?;
///     let claims = &context.authorizer()?["jwt"]["claims"];
///     Some(format!("{} from {:?}", claims["sub"].as_str()?, context.source_ip()))
/// }
/// ```
#[derive(Clone)]
pub struct RequestContext {
    pub(super) origin: Origin,
    pub(super) json: Bytes,
    /// The client's address if the request came through a load balancer, which sends the address only in a header.
    pub(super) forwarded_for: Option<IpAddr>,
    pub(super) value: Arc<OnceLock<Value>>,
}

impl RequestContext {
    /// Returns the service that sent the request.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the address of the client from the request context, or `None` for VPC Lattice, which does not send it.
    ///
    /// The request context from a load balancer does not contain the address. For a load balancer, this method therefore returns
    /// the last address in `X-Forwarded-For`. The load balancer itself added that address if its
    /// `routing.http.xff_header_processing.mode` attribute is `append`, the default.
    pub fn source_ip(&self) -> Option<IpAddr> {
        let texts = ["/http/sourceIp", "/identity/sourceIp"].map(|path| self.text(path));
        let known = texts.into_iter().flatten().find_map(|text| text.parse().ok());
        known.or(self.forwarded_for)
    }

    /// Returns the result of the authorizer: for an HTTP API or a function URL, an object with `jwt`, `lambda` or `iam`; for a
    /// REST or WebSocket API, the authorizer's context with its `principalId` or `claims`; for VPC Lattice, the identity.
    pub fn authorizer(&self) -> Option<&Value> {
        let name = match self.origin {
            Origin::Lattice => "identity",
            _ => "authorizer",
        };
        self.value().get(name)
    }

    /// Returns the stage of the API.
    pub fn stage(&self) -> Option<&str> {
        self.text("/stage")
    }

    /// Returns the request ID that API Gateway or the function URL assigned.
    pub fn request_id(&self) -> Option<&str> {
        self.text("/requestId")
    }

    /// Returns the ID of the connection to a WebSocket API.
    pub fn connection_id(&self) -> Option<&str> {
        self.text("/connectionId")
    }

    /// Returns the complete context as JSON, or null if the event has none.
    pub fn value(&self) -> &Value {
        // Parsing the event has checked the syntax, but not the numbers or the depth, so this can still fail.
        self.value.get_or_init(|| self.json().unwrap_or_default())
    }

    /// Parses the complete context as a type of your choice.
    ///
    /// # Errors
    ///
    /// Returns an error if the context does not match `T`.
    pub fn json<T: DeserializeOwned>(&self) -> serde_json::Result<T> {
        serde_json::from_slice(&self.json)
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.value().pointer(path)?.as_str()
    }
}

impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestContext").field(&self.origin).field(self.value()).finish()
    }
}

/// A JSON object whose values are not parsed yet.
#[derive(Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    pub fn parse(json: &'a [u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }

    /// A member that is an object, or an empty object if the member is missing, null or of any other type.
    pub fn object(&self, name: &str) -> Object<'a> {
        let member = self.get(name).map(|member| serde_json::from_str(member.get()));
        member.and_then(Result::ok).unwrap_or_default()
    }

    /// The last member with this name that is not null.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let mut members = self.0.iter().rev();
        let (_, member) = members.find(|(key, member)| key == name && member.get() != "null")?;
        Some(member)
    }

    /// A member that is a string.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.get(name)?)
    }

    /// The members that are strings or lists of strings, as one pair of name and string for each string.
    pub fn texts(&self) -> impl Iterator<Item = (&str, Cow<'a, str>)> {
        self.0.iter().flat_map(|(name, member)| {
            let texts = match text(member) {
                Some(text) => vec![text],
                None => list(member),
            };
            texts.into_iter().map(|text| (&**name, text))
        })
    }
}

/// Parses a JSON string; copies it only if it contains escapes.
pub(super) fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    let Text(text) = serde_json::from_str(json.get()).ok()?;
    Some(text)
}

/// Parses a JSON list of strings; any other value becomes an empty list.
pub(super) fn list(json: &RawValue) -> Vec<Cow<'_, str>> {
    let texts: Vec<Text<'_>> = serde_json::from_str(json.get()).unwrap_or_default();
    texts.into_iter().map(|Text(text)| text).collect()
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Text(name), member)) = map.next_entry()? {
                    members.push((name, member));
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A string that is borrowed if possible, whereas serde always copies a string into a `Cow`.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrowed;

        impl<'de> Visitor<'de> for Borrowed {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(text.to_owned().into()))
            }
        }

        deserializer.deserialize_str(Borrowed)
    }
}
