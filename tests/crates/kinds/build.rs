//! Compiles C from an absolute path and C++ from a relative path.

fn main() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    cc::Build::new()
        .file(format!("{directory}/c/kinds.c"))
        .compile("kinds");
    cc::Build::new()
        .cpp(true)
        .file("c/kinds.cpp")
        .compile("kinds_cpp");
    println!("cargo:rerun-if-changed=c");
}
