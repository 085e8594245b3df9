# The front door of the clone: `make VERB` is `cargo lambda-musl VERB`. Options are variables in capitals, which reach the program
# through the environment, to the letter.

.DEFAULT_GOAL := build
verbs := build docker-build verify invoke new init dev deploy status reproduce toolchain fetch base-image doctor
.PHONY: $(verbs) test lint check docs reference msrv examples bench soak conformance http crates fuzz workflows newest classic-lock clean help

options := ALIAS ARCH BASE BIN BINS CONTAINER_ENGINE CRATE DEV DIR DRY_RUN ENV_FILE ENV_VAR EVENT EXAMPLE EXTENSION FEATURES \
  FIX FORMAT FRESH HOW HTTP IMAGE IMAGE_ONLY INCLUDE LAYERS LAYOUT MEMORY MIRROR NAME NO_DEFAULT_FEATURES OCI OUT \
  PASS_ENV PINS PORT PREFIX QUALIFIER REMOTE ROLE RUN RUNTIME S3_BUCKET SOURCES STREAM SUITE TAGS TIMEOUT URL VERBOSE \
  WATCH_EVENT YES ZIP
others := BINARY CHECK FOR INVOCATIONS JOB LAMBDA_MUSL_CACHE ONLY STUBS
CRATE ?= function

given := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
unknown := $(filter-out $(options) $(others) MAKEFLAGS MAKEOVERRIDES SHELL,$(given))
$(if $(unknown),$(error unknown: $(unknown). The variables are $(options) $(others)))

# `value` keeps make from expanding what a user gave: a $ in an event is a $.
MAKEOVERRIDES :=
$(foreach name,$(options) $(others),$(eval override $(name) := $$(value $(name))))
override CRATE := $(or $(value CRATE),function)
export $(options) $(others)

build: ## dist/function.zip, with zig: no Docker, no root
docker-build: ## the same with musl and OpenSSL from source, in a container image with cross
verify: ## what the zip is, or one line for each problem with it; RUN=1 invokes it as well
invoke: ## run the zip under AWS's emulator, or REMOTE=NAME in AWS: EVENT='{…}', EVENT=@file or EXAMPLE=url|sqs|…
new: ## a new package: NAME=hello, DIR=elsewhere, HTTP=closure|axum, EVENT=sqs|s3|…, STREAM=1
init: ## what new writes, for the package in CRATE: overwrites nothing
dev: ## serve functions on this machine, compiled anew when they are saved: PORT=9000; DEV=1 has invoke send events there
deploy: ## upload the zip to the function NAME, and check that AWS has these bytes; DRY_RUN=1 prints the commands
status: ## whether the function NAME in AWS is what the sources build
reproduce: ## build twice under different conditions, and compare every byte: HOW=build|docker-build
toolchain: ## musl and OpenSSL from source into PREFIX=directory, without Docker
fetch: ## everything that a later build downloads, for one without a network
base-image: ## a base for docker-build from Debian's packages, where no registry can be reached
doctor: ## what this machine lacks for each verb; FIX=1 installs it
$(verbs):
	@scripts/cli $@ $(if $(filter NAME,$(given)),"$$NAME")

test: ## every test that this machine can run
	@scripts/test

lint: ## rustfmt, clippy, shellcheck, shfmt, actionlint, zizmor, cargo-deny
	@scripts/lint

examples: ## all that new can write, and all examples: checked, built and invoked, in minutes
	@PATH="$$(scripts/rust):$$PATH" ALL=1 cargo test --locked --package lambda-musl --target-dir target --test examples -- \
	  --ignored --test-threads=1

check: ## rustfmt, clippy and the unit tests of what changed: seconds, where make test has run before
	@PATH="$$(scripts/rust):$$PATH"; export PATH; for manifest in Cargo.toml cli/Cargo.toml; do \
	  cargo fmt --all --check --manifest-path "$$manifest" || exit 1; \
	done; \
	cargo clippy --quiet --locked --workspace --exclude probe --all-targets --target-dir target -- --deny warnings && \
	cargo clippy --quiet --locked --all-targets --manifest-path cli/Cargo.toml --target-dir target/cli -- --deny warnings && \
	cargo test --quiet --locked --package lambda-musl --lib --target-dir target && \
	cargo test --quiet --locked --manifest-path cli/Cargo.toml --target-dir target/cli

docs: ## the book, into target/book; and whether the links and the code of all pages are right
	@scripts/docs

reference: ## docs/reference.md anew, from the options of the program
	@PATH="$$(scripts/rust):$$PATH" WRITE_REFERENCE=1 cargo test --quiet --release --locked --manifest-path cli/Cargo.toml \
	  --target-dir target/cli pages::reference

msrv: ## whether the crate and the program compile with the oldest Rust that their Cargo.toml names
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) && \
	rustup toolchain install "$$version" --profile minimal --no-self-update && \
	rustup run "$$version" cargo check --locked --package lambda-musl --features anyhow,dns,http,log,shutdown,tower --target-dir target/msrv && \
	rustup run "$$version" cargo check --locked --manifest-path cli/Cargo.toml --target-dir target/msrv

bench: ## this runtime beside lambda_runtime and a bare loop; CHECK=1 fails where a target is missed
	@scripts/measure bench

soak: ## INVOCATIONS=number (a million) of events: none lost, memory flat, one connection
	@scripts/measure soak

conformance: ## what BINARY=file, any function, does about all that the Runtime API may do
	@scripts/conformance

http: ## events and responses of HTTP through this runtime and through lambda_http, into docs/http.md
	@PATH="$$(scripts/rust):$$PATH" cargo run --quiet --locked --manifest-path benches/Cargo.toml --package http-forms \
	  --target-dir target/bench/http -- "$$PWD"

crates: ## functions with crates of the registry, built both ways, verified and invoked, into docs/crates.md: ONLY='ring rocksdb' HOW=build
	@PATH="$$(scripts/rust):$$PATH" env -u CARGO_BUILD_TARGET -u RUSTFLAGS cargo test --quiet --locked --package lambda-musl \
	  --target-dir target --test registry -- --ignored --nocapture

fuzz: ## random input for everything that reads from the wire: FOR=seconds (60) for each property
	@PATH="$$(scripts/rust):$$PATH" FUZZ_SECONDS=$${FOR:-60} \
	  cargo test --locked --package lambda-musl --test fuzz --target-dir target -- --test-threads=8

workflows: ## the jobs of .github/workflows on this machine, with act: JOB='ci.action release.publish', STUBS='docker-build test …'
	@scripts/workflows

newest: ## whether each pin is the newest version of its series
	@scripts/newest

classic-lock: ## docker/pins/classic/Cargo.lock anew: Cargo.lock with the last crates that take OpenSSL 1.0
	@cp Cargo.lock docker/pins/classic/Cargo.lock
	@for pin in native-tls@0.2.15 openssl@0.10.73 openssl-sys@0.9.109; do \
	  PATH="$$(scripts/rust):$$PATH" CARGO_RESOLVER_LOCKFILE_PATH=docker/pins/classic/Cargo.lock \
	    cargo update --quiet --precise "$${pin#*@}" "$${pin%@*}" || exit 1; \
	done

clean: ## remove everything that was made
	rm -rf target dist

help: ## this list; cargo-lambda-musl VERB --help has the options
	@echo 'usage: make [VERB] [OPTION=value ...]'; echo
	@sed -n 's/^\([a-z-]*\): ##/  make \1:/p' Makefile
	@echo; echo 'The options are $(options), and for tests and measurements $(others).'
	@echo 'scripts/cli VERB --help says what each one does.'
