# shellcheck shell=sh
# What cargo needs to compile for $triple with zig, and OpenSSL where openssl=yes. It is read with `.`, after common.sh.

: "${root:?}" "${triple:?}" "${openssl:?}"
zig=$(scripts/wheel zig)
PATH="$zig/bin:$(scripts/rust):$PATH"
export PATH
export CARGO_ZIGBUILD_ZIG_PATH="$zig/ziglang/zig" CARGO_ZIGBUILD_CACHE_DIR="$root/target/zig"
export ZIG_GLOBAL_CACHE_DIR="$root/target/zig" ZIG_LOCAL_CACHE_DIR="$root/target/zig"

if [ "$openssl" = yes ]; then
  prefix=$(scripts/openssl)
  # Where a crate asks for an OpenSSL of its own, it gets this one.
  export "${triple_variable:?}_OPENSSL_DIR=$prefix" OPENSSL_STATIC=1 OPENSSL_NO_VENDOR=1
fi
