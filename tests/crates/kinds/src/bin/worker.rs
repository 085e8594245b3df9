//! The second binary of the package.

use lambda_musl::{Context, run};
use serde_json::Value;

fn main() -> Result<(), lambda_musl::Error> {
    run(async |event: Value, _: Context| Ok::<_, String>(event))
}
