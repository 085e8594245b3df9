//! Stores pairs and lists them in the order of their keys.

use std::{collections::HashMap, env, error::Error};

use lambda_musl::{Context, run};
use rocksdb::{DB, DBCompressionType, IteratorMode, Options};

type Pairs = HashMap<String, String>;

fn main() -> Result<(), lambda_musl::Error> {
    run(async |pairs: Pairs, context: Context| store(&pairs, context.request_id()))
}

fn store(pairs: &Pairs, name: &str) -> Result<String, Box<dyn Error>> {
    let directory = env::temp_dir().join(name);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.set_compression_type(DBCompressionType::Zstd);
    let database = DB::open(&options, &directory)?;
    for (key, value) in pairs {
        database.put(key, value)?;
    }
    database.flush()?;
    let mut listed = Vec::new();
    for pair in database.iterator(IteratorMode::Start) {
        let (key, value) = pair?;
        listed.push(format!("{}={}", str::from_utf8(&key)?, str::from_utf8(&value)?));
    }
    drop(database);
    DB::destroy(&options, &directory)?;
    Ok(listed.join(" "))
}
