//! The trace ID in the environment variable that AWS's SDKs read.

use std::env;

const VARIABLE: &str = "_X_AMZN_TRACE_ID";

/// Sets `_X_AMZN_TRACE_ID` for one invocation, or removes the value of an earlier invocation ([custom runtimes,
/// processing tasks][tasks]).
///
/// [tasks]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
#[allow(unsafe_code)]
pub(crate) fn set(trace_id: Option<&str>) {
    // `set_var` panics on a value that contains a NUL: leave the variable unset instead.
    let trace_id = trace_id.filter(|id| !id.bytes().any(|byte| byte == 0));
    // SAFETY: std locks the environment for all Rust code. The remaining risk is a thread that reads it through C's getenv
    // at this moment. `set` is called only between two invocations, when a function is idle, and never with several workers.
    // Lambda's contract requires the variable, and the documentation of `run` warns about this risk.
    unsafe {
        match trace_id {
            Some(id) => env::set_var(VARIABLE, id),
            None => env::remove_var(VARIABLE),
        }
    }
}
