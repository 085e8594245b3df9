//! The HTTP requests and responses of every form that AWS has.

#[path = "http/forms.rs"]
mod forms;

use forms::Cases;
use serde_json::Value;

/// What `make http` has recorded of an event or a response.
fn recorded(kind: &str, name: &str) -> Value {
    let recorded: Value = serde_json::from_str(include_str!("http/recorded.json")).unwrap();
    recorded[kind][name]["ours"].clone()
}

#[test]
fn each_event_becomes_the_request_that_is_recorded() {
    for case in Cases::read().requests {
        assert_eq!(
            forms::request(&case.event),
            recorded("requests", &case.name),
            "{}",
            case.name
        );
    }
}

#[test]
fn each_response_reaches_its_client_as_it_is_recorded() {
    let cases = Cases::read();
    for reply in &cases.responses {
        let name = format!("{} to {}", reply.name, reply.to);
        let seen = forms::response(reply, cases.event(&reply.to));
        assert_eq!(seen, recorded("responses", &name), "{name}");
    }
}
