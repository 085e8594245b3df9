//! Allocates bytes, and responds with the usable size of the block, which is one of mimalloc's size classes.

use lambda_musl::{Context, run};
use mimalloc::MiMalloc;
use serde_json::{Value, json};

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> Result<(), lambda_musl::Error> {
    run(async |bytes: usize, _: Context| {
        let block: Vec<u8> = Vec::with_capacity(bytes);
        let usable = unsafe { ALLOCATOR.usable_size(block.as_ptr()) };
        Ok::<Value, String>(json!({ "usable": usable }))
    })
}
