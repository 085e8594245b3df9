//! Handles events from an EventBridge bus, with a typed detail.

use aws_lambda_events::eventbridge::EventBridgeEvent;
use lambda_musl::{Context, run};
use serde::{Deserialize, Serialize};

/// The detail: a shop has shipped an order.
#[derive(Deserialize, Serialize)]
struct Shipped {
    order: String,
    articles: Vec<String>,
}

async fn handle(event: EventBridgeEvent<Shipped>, _: Context) -> Result<String, String> {
    let Shipped { order, articles } = event.detail;
    let source = event.source;
    Ok(format!("{source} ships {order}: {}", articles.join(", ")))
}

fn main() -> Result<(), lambda_musl::Error> {
    run(handle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;
    use serde_json::{Value, json};

    fn event(detail: Value) -> Value {
        json!({
            "version": "0",
            "source": "com.example.shop",
            "detail-type": "OrderShipped",
            "detail": detail,
        })
    }

    #[test]
    fn a_valid_detail_is_handled_and_any_other_is_an_error() {
        let events = [
            event(json!({"order": "7", "articles": ["tea", "cups"]})),
            event(json!({"order": 7})),
        ];
        let [shipped, other] = testing::run(handle, events).unwrap();
        assert_eq!(shipped.json(), "com.example.shop ships 7: tea, cups");
        let error = other.error().unwrap();
        assert_eq!(error.error_type, "Runtime.UnmarshalError");
    }
}
