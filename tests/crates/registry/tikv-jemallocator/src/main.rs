//! Allocates bytes, and responds with whether jemalloc has counted them.

use lambda_musl::{Context, run};
use serde_json::{Value, json};
use tikv_jemalloc_ctl::{Result, epoch, stats};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::result::Result<(), lambda_musl::Error> {
    run(async |bytes: usize, _: Context| allocate(bytes))
}

fn allocate(bytes: usize) -> Result<Value> {
    let allocated = || epoch::advance().and_then(|_| stats::allocated::read());
    let before = allocated()?;
    let block = std::hint::black_box(vec![1_u8; bytes]);
    let counted = allocated()? >= before + block.len();
    Ok(json!({ "counted": counted }))
}
