//! C and C++ in a function: the standard libraries and the compiler's own library.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::{
    complete_build, copy_lock_file, docker_build,
    machine::{make, root, write_crate},
};

/// Creates a function in `directory` from a C or C++ source and `main`, builds it, and returns its response to `{}`.
fn answer(build: &[String], directory: &Path, (source, code): (&str, &str), main: &str) -> Value {
    let krate = directory.join("native");
    let manifest = format!(
        "[package]\nname = 'native'\nedition = '2024'\n[profile.release]\nlto = 'fat'\n\
         [dependencies]\nlambda-musl = {{ path = '{}' }}\nserde_json = '1'\n[build-dependencies]\ncc = '1'\n",
        root().display()
    );
    let is_cpp = source.ends_with(".cpp");
    let standard = if is_cpp { "c++17" } else { "c11" };
    let script = format!(
        "fn main() {{ cc::Build::new().cpp({is_cpp}).std({standard:?}).file({source:?}).compile(\"native\"); }}"
    );
    write_crate(&krate, &manifest, main);
    fs::write(krate.join("build.rs"), script).unwrap();
    fs::write(krate.join(source), code).unwrap();
    copy_lock_file(&krate);
    let krate = format!("CRATE={}", krate.display());
    docker_build(build, &[&krate, "OUT=dist/native"]).succeeded();
    let answer = make(&["invoke", "OUT=dist/native", "EVENT={}"]).succeeded();
    serde_json::from_str(&answer.stdout).unwrap()
}

/// The `main.rs` of a function that responds with the value of `expression`.
fn main_of(declarations: &str, expression: &str) -> String {
    format!(
        "use lambda_musl::{{Context, run}};
        use serde_json::{{Value, json}};
        {declarations}
        fn main() -> Result<(), lambda_musl::Error> {{
            run(async |_: Value, _: Context| Ok::<_, String>({expression}))
        }}"
    )
}

#[test]
#[ignore = "run by make test"]
fn the_cpp_standard_library_works_and_exceptions_and_panics_cross_languages() {
    let Some(build) = complete_build("C++ in the container") else { return };
    let directory = tempfile::tempdir().unwrap();
    let declarations = r#"
        use std::{cell::Cell, ffi::{CStr, c_char, c_int}, panic};
        unsafe extern "C-unwind" {
            fn use_the_library(count: &mut c_int) -> *const c_char;
            fn call_through(call: extern "C-unwind" fn(), destroyed: &mut c_int) -> bool;
            fn throw_an_error();
        }
        thread_local!(static DROPPED: Cell<i32> = const { Cell::new(0) });
        struct Guard;
        impl Drop for Guard {
            fn drop(&mut self) { DROPPED.set(DROPPED.get() + 1); }
        }
        extern "C-unwind" fn panics() { let _guard = Guard; panic!("through C++") }
        extern "C-unwind" fn throws() { let _guard = Guard; unsafe { throw_an_error() } }
        fn answer() -> Value {
            let (mut count, mut destroyed) = (0, 0);
            let failed = unsafe { CStr::from_ptr(use_the_library(&mut count)).to_string_lossy().into_owned() };
            let panic = panic::catch_unwind(panic::AssertUnwindSafe(|| unsafe { call_through(panics, &mut destroyed) }));
            let panic = panic.unwrap_err().downcast_ref::<&str>().copied();
            let caught = unsafe { call_through(throws, &mut destroyed) };
            json!({"failed": failed, "count": count, "panic": panic, "caught": caught, "dropped": DROPPED.get(), "destroyed": destroyed})
        }"#;
    let answer = answer(
        &build,
        directory.path(),
        ("library.cpp", include_str!("library.cpp")),
        &main_of(declarations, "answer()"),
    );
    let expected = json!({
        "failed": "", "count": 838, "panic": "through C++", "caught": true, "dropped": 2, "destroyed": 2,
    });
    assert_eq!(answer, expected);
}

#[test]
#[ignore = "run by make test"]
fn functions_that_gcc_calls_in_its_own_library_are_linked() {
    let Some(build) = complete_build("gcc's library in the container") else { return };
    let directory = tempfile::tempdir().unwrap();
    // The first function needs gcc's library. What the others need is also in rustc's library.
    let code = r#"
        #include <complex.h>
        static volatile double two = 2;
        static volatile __int128 big = (__int128)1 << 100;
        static _Atomic long count;
        int has_avx2(void) {
        #ifdef __x86_64__
          return __builtin_cpu_supports("avx2") != 0;
        #else
          return -1;
        #endif
        }
        double real(void) { double complex z = two + two * I; return creal(z * z * z / z * z); }
        long quotient(void) { return (long)(big / 1000000007); }
        long counted(void) { __atomic_fetch_add(&count, 5, __ATOMIC_SEQ_CST); return count; }
        "#;
    let declarations = r#"unsafe extern "C" {
            safe fn has_avx2() -> i32;
            safe fn real() -> f64;
            safe fn quotient() -> i64;
            safe fn counted() -> i64;
        }"#;
    let answer = answer(
        &build,
        directory.path(),
        ("code.c", code),
        &main_of(declarations, "json!([has_avx2(), real(), quotient(), counted()])"),
    );
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap();
    let has_avx2 = match cfg!(target_arch = "x86_64") {
        true => i32::from(processor.contains(" avx2 ")),
        false => -1,
    };
    let quotient = (1_i128 << 100) / 1_000_000_007;
    assert_eq!(answer, json!([has_avx2, -16.0, quotient as i64, 5]));
}
