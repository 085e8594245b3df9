//! Generates the code of the message with the vendored protoc.

fn main() {
    let protoc = protoc_bin_vendored::protoc_bin_path().unwrap();
    let mut config = prost_build::Config::new();
    config.protoc_executable(protoc);
    config.compile_protos(&["greeting.proto"], &["."]).unwrap();
}
