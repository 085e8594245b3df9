//! HTTP requests and responses in every event format of AWS.

#[path = "http/forms.rs"]
mod forms;

use std::{convert::Infallible, fmt, io::Write, sync::LazyLock};

use forms::Cases;
use lambda_musl::{
    Context, Failure, IntoFailure, Stream,
    http::{
        self, Body, Event, HeaderValue, IntoResponse, Json, Request, RequestContext, RequestExt, Respond, Response,
        StatusCode,
    },
    testing::{self, Answer},
};
use serde_json::{Value, json};

/// The result that `make http` recorded for an event or a response.
fn recorded(kind: &str, name: &str) -> Value {
    static RECORDED: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("http/recorded.json")).unwrap());
    RECORDED[kind][name].clone()
}

#[test]
fn each_event_becomes_the_recorded_request() {
    for case in Cases::read().requests {
        assert_eq!(forms::request(&case.event), recorded("requests", &case.name), "{}", case.name);
    }
}

#[test]
fn the_http_examples_of_invoke_are_requests() {
    let order = async |request: Request<Body>| {
        let order: Value = request.body().json()?;
        let name = request.query("name").unwrap_or_default();
        let (method, path) = (request.method(), request.uri().path());
        Ok::<_, Failure>(format!("{method} {path} {name} {}", order["article"]))
    };
    for (name, expected) in [
        ("url", "POST /orders Ada \"tea\""),
        ("http-api", "POST /orders/7 Ada \"tea\""),
        ("rest-api", "POST /orders/7 Ada \"tea\""),
        ("alb", "POST /orders Ada \"tea\""),
        ("lattice", "POST /orders Ada \"tea\""),
        ("websocket", "POST /$default  \"tea\""),
    ] {
        let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/cli/src/invoke/examples");
        let event = std::fs::read_to_string(format!("{examples}/{name}.json")).unwrap();
        let [answer] = testing::run(http::handler(order), [event]).unwrap();
        assert_eq!(answer.json()["body"], expected, "{name}");
    }
}

#[test]
fn each_response_reaches_its_client_as_recorded() {
    let cases = Cases::read();
    for reply in &cases.responses {
        let name = format!("{} to {}", reply.name, reply.to);
        let seen = forms::response(reply, cases.event(&reply.to));
        assert_eq!(seen, recorded("responses", &name), "{name}");
    }
}

/// A request to a function URL.
fn url() -> Value {
    Cases::read().event("function URL: GET").clone()
}

/// A request to an HTTP API, which does not support streams.
fn api() -> Value {
    Cases::read().event("HTTP API: GET").clone()
}

/// The handler's response to one event.
fn answer<R: Respond>(event: Value, handler: impl AsyncFn(Request<Body>) -> R) -> Answer {
    let [answer] = testing::run(http::handler(handler), [event]).unwrap();
    answer
}

/// The prelude of a stream, and its body.
fn stream(answer: &Answer) -> (Value, String) {
    assert_eq!(answer.content_type(), Some("application/vnd.awslambda.http-integration-response"));
    let end = answer.body.windows(8).position(|bytes| bytes == [0; 8]).expect("the end of a prelude");
    let prelude = serde_json::from_slice(&answer.body[..end]).unwrap();
    (prelude, String::from_utf8(answer.body[end + 8..].to_vec()).unwrap())
}

const INTERNAL: &str = r#"{"message":"Internal Server Error"}"#;

#[test]
fn an_error_is_a_500_and_reveals_nothing() {
    let answer = answer(url(), async |_| Err::<&str, _>("the password is wrong: hunter2")).json();
    assert_eq!(answer["statusCode"], 500);
    assert_eq!(answer["body"], INTERNAL);
}

#[test]
fn a_failure_inside_a_boxed_error_sets_the_response() {
    #[derive(Debug)]
    struct Outer(Failure);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    let failing = async |_| {
        let inner = Failure::new("Function.NoSuchUser", "row 7").answer(StatusCode::NOT_FOUND, "no such user");
        Err::<&str, Box<dyn std::error::Error>>(Outer(inner).into())
    };
    let answer = answer(url(), failing).json();
    assert_eq!(answer["statusCode"], 404);
    assert_eq!(answer["body"], r#"{"message":"no such user"}"#);
}

#[test]
fn an_error_type_that_the_function_defines_sets_the_response() {
    struct Busy;
    impl IntoFailure for Busy {
        fn into_failure(self) -> Failure {
            Failure::new("Function.Busy", "17 in line").answer(StatusCode::TOO_MANY_REQUESTS, "later")
        }
    }
    assert_eq!(answer(url(), async |_| Err::<&str, _>(Busy)).json()["statusCode"], 429);
}

#[test]
fn a_failure_with_an_unsendable_status_is_a_500() {
    let odd = async |_| Err::<&str, _>(Failure::new("Function.Odd", "x").answer(StatusCode::CONTINUE, "x"));
    assert_eq!(answer(url(), odd).json()["statusCode"], 500);
}

#[test]
fn a_body_with_invalid_json_is_a_400_that_names_the_position() {
    let mut event = url();
    event["body"] = "[1, 2".into();
    let numbers = async |request: Request<Body>| -> Result<_, Failure> {
        let numbers: Vec<u32> = request.body().json()?;
        Ok(Json(numbers))
    };
    let answer = answer(event, numbers).json();
    assert_eq!(answer["statusCode"], 400);
    assert!(answer["body"].as_str().unwrap().contains("line 1 column 5"), "{answer}");
}

#[test]
fn a_response_that_cannot_be_sent_is_a_500_and_the_next_event_is_handled() {
    let handler = async |request: Request<Body>| {
        let mut response = Response::new(Body::default());
        match &*request.query("what").unwrap_or_default() {
            "header" => {
                let value = HeaderValue::from_bytes(b"\xff").unwrap();
                response.headers_mut().insert("x-odd", value);
            }
            "status" => *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS,
            "7 MB" => *response.body_mut() = vec![b'x'; 7 << 20].into(),
            "5 MB in base64" => *response.body_mut() = vec![0xff; 5 << 20].into(),
            _ => {}
        }
        response
    };
    let events = ["header", "status", "7%20MB", "5%20MB%20in%20base64", "nothing"].map(|what| {
        let mut event = url();
        event["rawQueryString"] = format!("what={what}").into();
        event
    });
    let answers = testing::run(http::handler(handler), events).unwrap();
    let statuses = answers.map(|answer| answer.json()["statusCode"].clone());
    assert_eq!(statuses, [json!(500), json!(500), json!(500), json!(500), json!(200)]);
}

#[test]
fn a_value_that_does_not_serialize_is_a_500() {
    let odd = async |_| Json(std::collections::HashMap::from([(vec![1], 1)]));
    assert_eq!(answer(url(), odd).json()["statusCode"], 500);
}

#[test]
fn an_event_in_no_known_format_is_reported_and_the_next_is_handled() {
    let hello = http::handler(async |_| "hello");
    let [odd, good] = testing::run(hello, [json!({"version": "2.0", "rawPath": "/"}), url()]).unwrap();
    let error = odd.error().unwrap();
    assert_eq!(error.error_type, "Runtime.UnmarshalError");
    assert!(error.message.contains("\"requestContext.http.method\" is missing"), "{}", error.message);
    assert_eq!(good.json()["body"], "hello");
}

#[test]
fn a_panic_is_reported_and_the_next_event_is_handled() {
    let handler = async |request: Request<Body>| match request.query("panic") {
        Some(_) => panic!("oh"),
        None => "well",
    };
    let mut event = url();
    event["rawQueryString"] = "panic".into();
    let [panicked, good] = testing::run(http::handler(handler), [event, url()]).unwrap();
    assert_eq!(panicked.error().unwrap().error_type, "Function.Panic");
    assert_eq!(good.json()["body"], "well");
}

#[test]
fn values_of_each_supported_type_are_responses() {
    fn parts(response: impl IntoResponse) -> (u16, Option<String>, Vec<u8>) {
        let response = response.into_response().unwrap();
        let content_type = response.headers().get("content-type");
        let content_type = content_type.map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), content_type, response.body().to_vec())
    }
    let text = Some("text/plain; charset=utf-8".to_owned());
    assert_eq!(parts("a"), (200, text.clone(), b"a".to_vec()));
    assert_eq!(parts("a".to_owned()), (200, text.clone(), b"a".to_vec()));
    assert_eq!(parts((StatusCode::CREATED, "a")), (201, text, b"a".to_vec()));
    assert_eq!(parts(StatusCode::NO_CONTENT), (204, None, Vec::new()));
    assert_eq!(parts(Response::new(vec![1])), (200, None, vec![1]));
    assert_eq!(parts(Json([1])), (200, Some("application/json".into()), b"[1]".to_vec()));
    let picture = lambda_musl::Raw::new("image/png", [0x89]);
    assert_eq!(parts(picture), (200, Some("image/png".into()), vec![0x89]));
}

#[test]
fn the_extensions_contain_the_event_and_the_context() {
    let handler = async |request: Request<Body>| {
        let event: Value = request.extensions().get::<Event>().unwrap().json().unwrap();
        let context = request.extensions().get::<Context>().unwrap();
        Json(json!([event, context.request_id()]))
    };
    let body = answer(url(), handler).json()["body"].as_str().unwrap().to_owned();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, json!([url(), "00000000-0000-4000-8000-000000000001"]));
}

#[test]
fn the_request_context_names_the_service_that_sent_the_request() {
    let handler = async |request: Request<Body>| {
        let context = request.extensions().get::<RequestContext>().unwrap();
        let origin = format!("{:?}", context.origin());
        let known = [context.stage(), context.request_id(), context.connection_id()];
        Json(json!([origin, known]))
    };
    let cases = Cases::read();
    let seen = |name: &str| answer(cases.event(name).clone(), handler).json()["body"].clone();
    assert_eq!(seen("function URL: GET"), r#"["FunctionUrl",["$default","id-1",null]]"#);
    assert_eq!(seen("HTTP API: GET"), r#"["HttpApi",["$default","id-1",null]]"#);
    assert_eq!(seen("REST API: GET"), r#"["RestApi",["prod","id-1",null]]"#);
    assert_eq!(seen("WebSocket API: connect"), r#"["WebSocketApi",["prod","id-1","L0SM9cOFvHcCIhw="]]"#);
    assert_eq!(seen("load balancer: GET"), r#"["LoadBalancer",[null,null,null]]"#);
    assert_eq!(seen("VPC Lattice: GET"), r#"["Lattice",[null,null,null]]"#);
    assert_eq!(seen("VPC Lattice: version 1"), r#"["Lattice",[null,null,null]]"#);
}

#[test]
fn the_client_of_a_load_balancer_is_the_last_forwarded_address_without_its_port() {
    let handler = async |request: Request<Body>| {
        let context = request.extensions().get::<RequestContext>().unwrap();
        context.source_ip().map_or("none".into(), |ip| ip.to_string())
    };
    let seen = |forwarded: &str| {
        let mut event = Cases::read().event("load balancer: GET").clone();
        event["headers"]["x-forwarded-for"] = forwarded.into();
        answer(event, handler).json()["body"].as_str().unwrap().to_owned()
    };
    let lists =
        ["192.0.2.1", "203.0.113.9, 192.0.2.1", "a,192.0.2.1:443", "[2001:db8::1]:443", "2001:db8::1", "unknown", ""];
    let expected = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::1", "none", "none"];
    assert_eq!(lists.map(seen), expected);
}

#[test]
fn request_parts_also_have_the_query_and_the_cookies() {
    let handler = async |request: Request<Body>| {
        let (head, _) = request.into_parts();
        let tags: Vec<_> = head.query_all("tag").collect();
        format!("{tags:?} {:?} {:?}", head.query("no"), head.cookie("b"))
    };
    let mut event = url();
    event["rawQueryString"] = "tag=a+b&x=1&tag=%C3%A9&tag".into();
    event["cookies"] = json!(["a=1", "b=2=3"]);
    assert_eq!(answer(event, handler).json()["body"], r#"["a b", "é", ""] None Some("2=3")"#);
}

async fn streamed(_: Request<Body>) -> Stream<impl AsyncFnOnce(&mut (dyn Write + Send)) -> std::io::Result<()>> {
    let body = async |out: &mut (dyn Write + Send)| out.write_all("größe".as_bytes());
    Stream::new("text/plain", body).status(201).header("X-A", "1").header("x-a", "2").cookie("a=b").cookie("c=d")
}

#[test]
fn a_stream_to_a_function_url_is_streamed() {
    let (prelude, body) = stream(&answer(url(), streamed));
    assert_eq!(
        prelude,
        json!({
            "statusCode": 201,
            "headers": {"content-type": "text/plain", "x-a": "1, 2"},
            "cookies": ["a=b", "c=d"],
        })
    );
    assert_eq!(body, "größe");
}

#[test]
fn a_stream_to_another_caller_is_one_response() {
    assert_eq!(
        answer(api(), streamed).json(),
        json!({
            "statusCode": 201,
            "headers": {"content-type": "text/plain", "x-a": "1, 2"},
            "cookies": ["a=b", "c=d"],
            "body": "größe",
            "isBase64Encoded": false,
        })
    );
}

#[test]
fn a_handler_of_streams_also_streams_its_errors_to_a_function_url() {
    let failing = async |request: Request<Body>| match request.method().as_str() {
        "GET" => Err("no stream"),
        _ => Ok(streamed(request).await),
    };
    let (prelude, body) = stream(&answer(url(), failing));
    assert_eq!(prelude["statusCode"], 500);
    assert_eq!(body, INTERNAL);
    assert_eq!(answer(api(), failing).json()["statusCode"], 500);
}

#[test]
fn a_stream_with_an_invalid_status_or_header_is_a_500() {
    type Edit = fn(
        Stream<fn(&mut (dyn Write + Send)) -> std::future::Ready<std::io::Result<()>>>,
    ) -> Stream<fn(&mut (dyn Write + Send)) -> std::future::Ready<std::io::Result<()>>>;
    let edits: [Edit; 6] = [
        |stream| stream.status(99),
        |stream| stream.status(101),
        |stream| stream.status(1000),
        |stream| stream.header("x", "a\r\nb: c"),
        |stream| stream.header("a b", "c"),
        |stream| stream.cookie("a=b\nc"),
    ];
    for (number, edit) in edits.into_iter().enumerate() {
        let handler = async |_| {
            let body: fn(&mut (dyn Write + Send)) -> _ = |_| std::future::ready(Ok(()));
            edit(Stream::new("text/plain", body))
        };
        let (prelude, body) = stream(&answer(url(), handler));
        assert_eq!((&prelude["statusCode"], &*body), (&json!(500), INTERNAL), "{number}");
    }
}

#[test]
fn a_stream_that_fails_is_an_error_after_the_body_or_a_500() {
    async fn broken(_: Request<Body>) -> Stream<impl AsyncFnOnce(&mut (dyn Write + Send)) -> Result<(), String>> {
        Stream::new("text/plain", async |out: &mut (dyn Write + Send)| {
            out.write_all(b"one").unwrap();
            Err("broken".to_owned())
        })
    }
    let streamed = answer(url(), broken);
    assert_eq!(stream(&streamed).1, "one");
    assert_eq!(streamed.error().unwrap().message, "broken");
    let whole = answer(api(), broken).json();
    assert_eq!((&whole["statusCode"], &whole["body"]), (&json!(500), &json!(INTERNAL)));
}

#[test]
fn an_endless_stream_to_a_caller_without_streams_is_a_500() {
    async fn endless(_: Request<Body>) -> Stream<impl AsyncFnOnce(&mut (dyn Write + Send)) -> std::io::Result<()>> {
        Stream::new("text/plain", async |out: &mut (dyn Write + Send)| {
            loop {
                out.write_all(&[b'x'; 65536])?;
            }
        })
    }
    assert_eq!(answer(api(), endless).json()["statusCode"], 500);
}

#[test]
fn a_result_with_an_infallible_error_is_a_response() {
    let sure = async |_| Ok::<_, Infallible>((StatusCode::ACCEPTED, "sure"));
    assert_eq!(answer(url(), sure).json()["statusCode"], 202);
}
