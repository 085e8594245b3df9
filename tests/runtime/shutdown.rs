//! The hook that runs when Lambda shuts the execution environment down.

use std::{
    io::Read,
    process::{Child, Command},
};

use conformance::{Reply, RuntimeApi, accepted, answer, event, silence};
use lambda_musl::testing::http;

use crate::{
    child,
    support::{NEXT, echo},
};

const REGISTER: &str = "POST /2020-01-01/extension/register";
const EVENT: &str = "GET /2020-01-01/extension/event/next";

fn terminate(child: &Child) {
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn sigterm_runs_the_hook_and_ends_the_function() {
    let api = RuntimeApi::replying(|request| {
        Some(match request.line.as_str() {
            REGISTER => Reply::Send(http::answer("200 OK", "Lambda-Extension-Identifier: me\r\n", "{}")),
            // No response is ever sent.
            _ => silence(),
        })
    });
    let mut child = child::function("shutdown::hooked", api.address()).spawn().unwrap();
    let register = api.next();
    assert_eq!(register.line, REGISTER, "the first request");
    assert_eq!(register.body, br#"{"events":[]}"#);
    assert!(register.header("Lambda-Extension-Name").is_some());
    let mut others = [api.next(), api.next()];
    others.sort_by_key(|call| call.line.clone());
    assert_eq!(others[0].line, NEXT);
    assert_eq!(others[1].line, EVENT);
    assert_eq!(others[1].header("Lambda-Extension-Identifier"), Some("me"));
    assert_ne!(others[0].connection, others[1].connection);

    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut text = String::new();
    child.stderr.unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("hook: closing"), "{text}");
}

#[test]
fn the_function_works_even_if_no_extension_can_be_registered() {
    let api = RuntimeApi::start([Reply::Send(answer(404, "no such path")), event("a", "1"), accepted()]);
    let text = child::run("shutdown::hooked", api.address(), &[]);
    assert!(text.contains("Lambda will not send SIGTERM"), "{text}");
    assert!(text.contains("extension/register: the Runtime API responded with 404"), "{text}");
    assert_eq!(api.received()[2].body, b"1");
}

#[test]
#[ignore = "a function that other tests start"]
fn hooked() {
    let hook = lambda_musl::on_shutdown(|| {
        eprintln!("hook: closing");
        panic!("a hook that fails still ends the function");
    });
    child::main(hook.and_then(|()| lambda_musl::run(echo)));
}
