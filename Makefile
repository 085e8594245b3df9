# The commands of the clone: `make VERB` runs `cargo lambda-musl VERB`. Options are variables in capitals, which are passed to the
# program unchanged through the environment.

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

# `value` keeps make from expanding the user's values: a $ in an event stays a $.
MAKEOVERRIDES :=
$(foreach name,$(options) $(others),$(eval override $(name) := $$(value $(name))))
override CRATE := $(or $(value CRATE),function)
export $(options) $(others)

build: ## build dist/function.zip with zig: no Docker, no root
docker-build: ## build dist/function.zip with musl and OpenSSL from source, in a container with cross
verify: ## describe the zip, or list its problems; RUN=1 also invokes it
invoke: ## run the zip in AWS's emulator, or the function REMOTE=NAME in AWS, with EVENT='{…}', EVENT=@file or EXAMPLE=url|sqs|…
new: ## create a package: NAME=hello, DIR=elsewhere, HTTP=closure|axum, EVENT=sqs|s3|…, STREAM=1
init: ## add the files that new creates to the package in CRATE; overwrite nothing
dev: ## serve functions on this machine, and recompile them when their sources are saved: PORT=9000; make invoke DEV=1 sends events to them
deploy: ## upload the zip to the function NAME, and check that AWS has these bytes; DRY_RUN=1 only prints the commands
status: ## check whether the function NAME in AWS is what the sources build
reproduce: ## build twice under different conditions, and compare every byte: HOW=build|docker-build
toolchain: ## compile musl and OpenSSL from source into PREFIX=directory, without Docker
fetch: ## download everything that a later build without a network needs
base-image: ## create a base image for docker-build from Debian packages, without access to a registry
doctor: ## list what this machine lacks for each verb; FIX=1 installs it
$(verbs):
	@scripts/cli $@ $(if $(filter NAME,$(given)),"$$NAME")

test: ## run every test that this machine can run
	@scripts/test

lint: ## run rustfmt, clippy, shellcheck, shfmt, actionlint, zizmor and cargo-deny
	@scripts/lint

examples: ## check, build and invoke everything that new can create, and all examples: takes minutes
	@PATH="$$(scripts/rust):$$PATH" ALL=1 cargo test --locked --package lambda-musl --target-dir target --test examples -- \
	  --ignored --test-threads=1

check: ## run rustfmt, clippy and the unit tests: takes seconds if make test has run before
	@PATH="$$(scripts/rust):$$PATH"; export PATH; for manifest in Cargo.toml cli/Cargo.toml; do \
	  cargo fmt --all --check --manifest-path "$$manifest" || exit 1; \
	done; \
	cargo clippy --quiet --locked --workspace --exclude probe --all-targets --target-dir target -- --deny warnings && \
	cargo clippy --quiet --locked --all-targets --manifest-path cli/Cargo.toml --target-dir target/cli -- --deny warnings && \
	cargo test --quiet --locked --package lambda-musl --lib --target-dir target && \
	cargo test --quiet --locked --manifest-path cli/Cargo.toml --target-dir target/cli

docs: ## build the book in target/book, and check the links and the code of all pages
	@scripts/docs

reference: ## regenerate docs/reference.md from the options of the program
	@PATH="$$(scripts/rust):$$PATH" WRITE_REFERENCE=1 cargo test --quiet --release --locked --manifest-path cli/Cargo.toml \
	  --target-dir target/cli pages::reference

msrv: ## check that the crate and the program compile with the oldest Rust that Cargo.toml allows
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml) && \
	rustup toolchain install "$$version" --profile minimal --no-self-update && \
	rustup run "$$version" cargo check --locked --package lambda-musl --features anyhow,dns,http,log,shutdown,tower --target-dir target/msrv && \
	rustup run "$$version" cargo check --locked --manifest-path cli/Cargo.toml --target-dir target/msrv

bench: ## measure this runtime, lambda_runtime and a bare loop; CHECK=1 fails if a target is missed
	@scripts/measure bench

soak: ## send INVOCATIONS=number events (default: a million); check that none is lost, that memory does not grow, and that only one connection is used
	@scripts/measure soak

conformance: ## test how the function BINARY=file reacts to everything that the Runtime API may do
	@scripts/conformance

http: ## pass HTTP events and responses through this runtime and lambda_http, and write docs/http.md
	@PATH="$$(scripts/rust):$$PATH" cargo run --quiet --locked --manifest-path benches/Cargo.toml --package http-forms \
	  --target-dir target/bench/http -- "$$PWD"

crates: ## build functions with registry crates both ways, verify and invoke them, and write docs/crates.md: ONLY='ring rocksdb' HOW=build
	@PATH="$$(scripts/rust):$$PATH" env -u CARGO_BUILD_TARGET -u RUSTFLAGS cargo test --quiet --locked --package lambda-musl \
	  --target-dir target --test registry -- --ignored --nocapture

fuzz: ## send random input to everything that reads from the network: FOR=seconds (default: 60) for each property
	@PATH="$$(scripts/rust):$$PATH" FUZZ_SECONDS=$${FOR:-60} \
	  cargo test --locked --package lambda-musl --test fuzz --target-dir target -- --test-threads=8

workflows: ## run the jobs of .github/workflows on this machine with act: JOB='ci.action release.publish', STUBS='docker-build test …'
	@scripts/workflows

newest: ## check that each pin is the newest version of its series
	@scripts/newest

classic-lock: ## regenerate docker/pins/classic/Cargo.lock: Cargo.lock with the last crate versions that support OpenSSL 1.0
	@cp Cargo.lock docker/pins/classic/Cargo.lock
	@for pin in native-tls@0.2.15 openssl@0.10.73 openssl-sys@0.9.109; do \
	  PATH="$$(scripts/rust):$$PATH" CARGO_RESOLVER_LOCKFILE_PATH=docker/pins/classic/Cargo.lock \
	    cargo update --quiet --precise "$${pin#*@}" "$${pin%@*}" || exit 1; \
	done

clean: ## remove all build output
	rm -rf target dist

help: ## print this list; scripts/cli VERB --help lists the options of a verb
	@echo 'usage: make [VERB] [OPTION=value ...]'; echo
	@sed -n 's/^\([a-z-]*\): ##/  make \1:/p' Makefile
	@echo; echo 'The options are $(options), and, for tests and measurements, $(others).'
	@echo 'scripts/cli --help lists the verbs that make does not have.'
