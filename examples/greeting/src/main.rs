//! Greets whoever the event names: a handler that is a type, with events and answers of its own.

use lambda_musl::{Context, LambdaHandler};
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

struct App {
    salutation: &'static str,
}

impl LambdaHandler<Event> for App {
    type Response = Greeting;
    type Error = String;

    async fn handle(&self, event: Event, context: Context) -> Result<Greeting, String> {
        if event.name.is_empty() {
            return Err("name is empty: expected whom to greet".into());
        }
        Ok(Greeting {
            message: format!("{}, {}!", self.salutation, event.name),
            request_id: context.request_id().into(),
        })
    }
}

fn main() -> Result<(), lambda_musl::Error> {
    lambda_musl::run(App {
        salutation: "Hello",
    })
}
