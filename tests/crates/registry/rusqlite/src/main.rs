//! Inserts numbers into an in-memory database and queries their sum and order.

use lambda_musl::{Context, run};
use rusqlite::Connection;
use serde_json::{Value, json};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |numbers: Vec<i64>, _: Context| query(&numbers))
}

fn query(numbers: &[i64]) -> rusqlite::Result<Value> {
    let database = Connection::open_in_memory()?;
    database.execute("CREATE TABLE numbers (n INTEGER)", ())?;
    for n in numbers {
        database.execute("INSERT INTO numbers VALUES (?1)", [n])?;
    }
    let query = "SELECT sum(n), group_concat(n, ',') FROM (SELECT n FROM numbers ORDER BY n)";
    database.query_row(query, (), |row| Ok(json!({ "sum": row.get::<_, i64>(0)?, "sorted": row.get::<_, String>(1)? })))
}
