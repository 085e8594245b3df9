# shellcheck shell=sh
# What every script here starts with. It is read with `.`, from the root of the clone.
set -eu

root=$(pwd -P)
[ -f "$root/scripts/common.sh" ] || {
  echo "error: $root is not the root of lambda-musl: run make there" >&2
  exit 1
}

# All that is made stays below target/, temporary files too.
export TMPDIR="$root/target/tmp"
mkdir -p "$TMPDIR"

# What this shell has set for other programs, and what would be in the function then.
foreign=$(env | sed -n -E 's/^((CARGO_(PROFILE|TARGET|BUILD)_[A-Za-z0-9_]*|CARGO_INCREMENTAL|CARGO_ENCODED_RUSTFLAGS|RUSTFLAGS|RUSTC[A-Z_]*|ZIG_[A-Z_]*|CROSS_[A-Z0-9_]*|DOCKER_OPTS|((TARGET|HOST)_)?(C|CXX|CPP|LD)FLAGS(_[A-Za-z0-9_]*)?))=.+/\1/p')
# shellcheck disable=SC2086 # a list of names
unset MAKEFLAGS MFLAGS $foreign
# As cargo has it: an empty one is none.
case ${CARGO_HOME:=${HOME-}/.cargo} in
  /*) ;;
  *) CARGO_HOME="$root/$CARGO_HOME" ;;
esac

say() {
  printf '%s\n' "$*" >&2
}

die() {
  say "error: $*"
  exit 1
}

# step TEXT COMMAND...: says what runs and how long it took; when it fails, shows the end of its log and where the rest is.
step() {
  step_text=$1
  shift
  mkdir -p "$root/target/logs"
  step_log="$root/target/logs/$(printf '%s' "$step_text" | tr -cs 'A-Za-z0-9.' '-').$$.log"
  step_start=$(date +%s)
  say "$step_text …"
  if "$@" >"$step_log" 2>&1 </dev/null; then
    say "$step_text: $(($(date +%s) - step_start)) s"
    rm -f "$step_log"
  else
    step_status=$?
    tail -n 40 "$step_log" >&2
    say "error: $step_text failed with status $step_status; the whole log: $step_log"
    exit "$step_status"
  fi
}

# sums ARGUMENT...: sha256sum, or what macOS has in its place.
sums() {
  sha256sum "$@" 2>/dev/null || shasum -a 256 "$@"
}

# identity FILE...: a name for what is made from these files; other contents give another name.
identity() {
  cat -- "$@" | sums - | cut -c1-16
}

# publish FROM TO: moves a finished folder into place in one go; where another run was faster, its folder stays.
publish() {
  python3 -c 'import os, sys; os.rename(sys.argv[1], sys.argv[2])' "$1" "$2" 2>/dev/null || {
    [ -d "$2" ] || die "cannot move $1 to $2"
    rm -rf "$1"
  }
}

# The names that each tool has for the architecture.
case ${ARCH:=x86_64} in
  x86_64) triple=x86_64-unknown-linux-musl zig_target=x86_64-linux-musl platform=linux/amd64 ;;
  arm64) triple=aarch64-unknown-linux-musl zig_target=aarch64-linux-musl platform=linux/arm64 ;;
  *) die "ARCH=$ARCH is no architecture of Lambda: expected x86_64 or arm64" ;;
esac
# As it stands in the names of environment variables.
triple_variable=$(printf '%s' "$triple" | tr 'a-z-' 'A-Z_')
export CARGO_HOME ARCH triple triple_variable zig_target platform
