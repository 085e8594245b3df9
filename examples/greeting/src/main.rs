//! Greets the person that the event names.

use lambda_musl::{Context, run};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Event {
    name: String,
}

#[derive(Serialize)]
struct Greeting {
    message: String,
    request_id: String,
}

async fn greet(event: Event, context: Context) -> Result<Greeting, &'static str> {
    if event.name.is_empty() {
        return Err("name is empty: expected someone to greet");
    }
    Ok(Greeting {
        message: format!("Hello, {}!", event.name),
        request_id: context.request_id().into(),
    })
}

fn main() -> Result<(), lambda_musl::Error> {
    run(greet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::json;

    #[test]
    fn the_named_person_is_greeted() {
        let [answer] = testing::run(greet, [json!({"name": "Ada"})]).unwrap();
        assert_eq!(answer.json()["message"], "Hello, Ada!");
    }

    #[test]
    fn an_event_without_a_name_is_an_error() {
        let events = [json!({"name": ""}), json!({})];
        let [empty, missing] = testing::run(greet, events).unwrap();
        let error = empty.error().unwrap();
        assert_eq!(error.message, "name is empty: expected someone to greet");
        let error = missing.error().unwrap();
        assert_eq!(error.error_type, "Runtime.UnmarshalError");
        assert!(error.message.contains("missing field `name`"), "{error:?}");
    }
}
