//! tower services as functions.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame};
use lambda_musl::{
    http::{Body, Request, Response},
    testing::{self, Answer},
    tower,
};
use serde_json::{Value, json};
use tower_service::Service;

fn event(domain: &str) -> Value {
    json!({
        "version": "2.0",
        "rawPath": "/a",
        "rawQueryString": "b=c",
        "headers": {"host": domain},
        "requestContext": {"domainName": domain, "http": {"method": "GET"}},
        "body": "in",
    })
}

fn url() -> Value {
    event("id.lambda-url.us-east-1.on.aws")
}

/// A service that calls a closure.
#[derive(Clone)]
struct Function<F>(F);

impl<F, R> Service<Request<Body>> for Function<F>
where
    F: Fn(Request<Body>) -> R,
{
    type Response = R;
    type Error = Infallible;
    type Future = Ready<Result<R, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok((self.0)(request)))
    }
}

/// A body that returns each frame on the second poll.
struct Frames {
    frames: Vec<Result<Frame<Bytes>, &'static str>>,
    polled: bool,
}

impl Frames {
    fn new(mut frames: Vec<Result<Frame<Bytes>, &'static str>>) -> Self {
        frames.reverse();
        Frames { frames, polled: false }
    }

    fn texts() -> Self {
        let trailers = Frame::trailers(Default::default());
        Frames::new(vec![Ok(Frame::data("one ".into())), Ok(Frame::data("two".into())), Ok(trailers)])
    }
}

impl HttpBody for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>, context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.polled = !self.polled;
        if self.polled {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop())
    }
}

fn text(answer: &Answer) -> String {
    answer.json()["body"].as_str().expect("a body").to_owned()
}

#[test]
fn a_request_and_its_body_reach_the_service() {
    let echo = Function(|request: Request<Body>| {
        let head = format!("{} {} ", request.method(), request.uri());
        Response::new(Body::from([head.as_bytes(), request.body()].concat()))
    });
    let [answer] = testing::run(tower::service(echo), [url()]).unwrap();
    assert_eq!(text(&answer), "GET https://id.lambda-url.us-east-1.on.aws/a?b=c in");
}

#[test]
fn the_frames_of_a_body_are_joined() {
    let service = Function(|_| Response::new(Frames::texts()));
    let [answer] = testing::run(tower::service(service), [url()]).unwrap();
    assert_eq!(text(&answer), "one two");
}

#[test]
fn frames_are_streamed_to_a_function_url_and_joined_for_others() {
    let service = tower::service(Function(|_| Response::new(Frames::texts()))).streaming();
    let [streamed, whole] = testing::run(service, [url(), event("api.example.com")]).unwrap();
    assert_eq!(streamed.content_type(), Some("application/vnd.awslambda.http-integration-response"));
    assert_eq!(streamed.text(), format!("{{\"statusCode\":200,\"headers\":{{}}}}{}one two", "\0".repeat(8)));
    assert_eq!(text(&whole), "one two");
}

#[test]
fn a_body_that_fails_is_a_500_or_an_error_after_the_stream() {
    let frames = || Frames::new(vec![Ok(Frame::data("one".into())), Err("broken")]);
    let service = Function(move |_| Response::new(frames()));
    let [whole] = testing::run(tower::service(service.clone()), [url()]).unwrap();
    assert_eq!(whole.json()["statusCode"], 500);
    let [streamed] = testing::run(tower::service(service).streaming(), [url()]).unwrap();
    assert_eq!(streamed.error().unwrap().message, "broken");
}

#[test]
fn an_error_of_the_service_is_a_500() {
    /// Fails before it is ready, or when it is called.
    #[derive(Clone)]
    struct Failing {
        ready: bool,
    }

    impl Service<Request<Body>> for Failing {
        type Response = Response<Body>;
        type Error = Box<dyn std::error::Error + Send + Sync>;
        type Future = Ready<Result<Response<Body>, Self::Error>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
            Poll::Ready(if self.ready { Ok(()) } else { Err("not ready".into()) })
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            assert!(self.ready, "called before it was ready");
            ready(Err("no answer".into()))
        }
    }

    for ready in [false, true] {
        let [answer] = testing::run(tower::service(Failing { ready }), [url()]).unwrap();
        assert_eq!(answer.json()["statusCode"], 500);
    }
}

#[test]
fn each_request_is_handled_by_a_ready_clone_of_the_service() {
    struct Once {
        ready: bool,
        called: bool,
    }

    impl Clone for Once {
        fn clone(&self) -> Self {
            Once { ready: false, called: false }
        }
    }

    impl Service<Request<Body>> for Once {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            if self.ready {
                return Poll::Ready(Ok(()));
            }
            self.ready = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            assert!(self.ready && !self.called);
            self.called = true;
            ready(Ok(Response::new(Body::from("ready"))))
        }
    }

    let service = tower::service(Once { ready: false, called: false });
    let answers = testing::run(service, [url(), url()]).unwrap();
    assert_eq!(answers.each_ref().map(text), ["ready", "ready"]);
}
