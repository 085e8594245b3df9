//! Responds with values that show how the build used the configuration, the dependency, the C and C++ code of this crate.

use std::ffi::{CStr, c_char};

use lambda_musl::{Context, run};
use serde_json::{Value, json};

unsafe extern "C" {
    fn file() -> *const c_char;
    fn date() -> *const c_char;
    fn compiler() -> *const c_char;
    fn sse2() -> i32;
    fn quotient() -> f64;
    fn cpp(n: i32) -> i32;
}

/// A static string in C.
fn text(function: unsafe extern "C" fn() -> *const c_char) -> String {
    unsafe { CStr::from_ptr(function()) }
        .to_string_lossy()
        .into_owned()
}

fn main() -> Result<(), lambda_musl::Error> {
    run(async |index: usize, _: Context| {
        Ok::<Value, String>(json!({
            "env": option_env!("TABLE_NAME"),
            "flag": cfg!(my_flag),
            "dependency": common::nth(index),
            "crate": own::Uuid::nil().is_nil(),
            "file": text(file),
            "date": text(date),
            "compiler": text(compiler),
            "sse2": unsafe { sse2() },
            "quotient": unsafe { quotient() },
            "cpp": unsafe { cpp(41) },
            "included": std::fs::read_to_string("data/greeting.txt").ok(),
        }))
    })
}
