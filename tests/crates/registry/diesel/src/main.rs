//! Connects to a database with libpq, which neither build has for musl.

use diesel::{Connection, PgConnection};
use lambda_musl::{Context, run};

fn main() -> Result<(), lambda_musl::Error> {
    run(async |url: String, _: Context| PgConnection::establish(&url).map(|_| "connected"))
}
