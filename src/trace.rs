//! The trace id in the environment, where AWS's SDKs look for it.

use std::env;

const VARIABLE: &str = "_X_AMZN_TRACE_ID";

/// Sets `_X_AMZN_TRACE_ID` for one invocation, or removes what an earlier one has left ([custom runtimes, processing
/// tasks][tasks]).
///
/// [tasks]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html
#[allow(unsafe_code)]
pub(crate) fn set(trace_id: Option<&str>) {
    // A variable that cannot hold the value, which has a NUL in it, is better than a panic.
    let trace_id = trace_id.filter(|id| !id.bytes().any(|byte| byte == 0));
    // SAFETY: std locks the environment against all of Rust. What is left is a thread that reads it through C's getenv
    // at this moment: this is called between two invocations, where a function has nothing to do, and never with several
    // workers. Lambda's contract leaves no other way; `run` documents it.
    unsafe {
        match trace_id {
            Some(id) => env::set_var(VARIABLE, id),
            None => env::remove_var(VARIABLE),
        }
    }
}
