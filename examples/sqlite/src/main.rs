//! Counts visits in SQLite, with a handler that is a type and keeps its connection between invocations.

use lambda_musl::{Context, LambdaHandler, init, run};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::env;

struct Visits {
    database: Connection,
}

impl Visits {
    fn open(path: &str) -> Result<Self, rusqlite::Error> {
        let database = Connection::open(path)?;
        let table = "CREATE TABLE IF NOT EXISTS visits (name TEXT PRIMARY KEY, number INTEGER)";
        database.execute(table, [])?;
        Ok(Self { database })
    }
}

impl LambdaHandler<String> for Visits {
    type Response = Value;
    type Error = rusqlite::Error;

    async fn handle(&self, name: String, _: Context) -> Result<Value, rusqlite::Error> {
        let count = "INSERT INTO visits VALUES (?1, 1)
            ON CONFLICT (name) DO UPDATE SET number = number + 1 RETURNING number";
        let number: i64 = (self.database).query_row(count, [&name], |row| row.get(0))?;
        Ok(json!({ "name": name, "visits": number }))
    }
}

fn main() -> Result<(), lambda_musl::Error> {
    // /tmp exists as long as this execution environment.
    let path = env::var("DATABASE").unwrap_or("/tmp/visits.db".into());
    // An error here is reported to Lambda as an init error.
    run(init(|| Visits::open(&path))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambda_musl::testing;

    #[test]
    fn a_second_visit_is_counted() {
        let visits = Visits::open(":memory:").unwrap();
        let names = ["Ada", "Alan", "Ada"].map(|name| json!(name));
        let answers = testing::run(visits, names).unwrap();
        let numbers = answers.map(|answer| answer.json()["visits"].clone());
        assert_eq!(numbers, [1, 1, 2]);
    }
}
