//! Compiles C by its absolute path and by its relative one, and C++.

fn main() {
    let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    cc::Build::new().file(format!("{directory}/c/kinds.c")).compile("kinds");
    cc::Build::new().cpp(true).file("c/kinds.cpp").compile("kinds_cpp");
    println!("cargo:rerun-if-changed=c");
}
