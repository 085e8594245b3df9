# The front door. Each target is one script; variables reach it through the environment, to the letter.

.DEFAULT_GOAL := build
.PHONY: build docker-build verify reproduce invoke toolchain fetch base-image test bench conformance fuzz soak lint doctor help clean

ARCH ?= x86_64
CRATE ?= function
OUT ?= dist
PINS ?= classic

# What is verified says its architecture itself; one that was asked for must be it.
GIVEN_ARCH := $(if $(filter-out file,$(origin ARCH)),$(value ARCH))

# `value` keeps make from expanding what a user gave: a $ in an event is a $.
MAKEOVERRIDES :=
variables := ARCH CRATE OUT ZIP EVENT PINS SOURCES BASE PREFIX IMAGE RUN HOW CHECK BINARY FOR INVOCATIONS
$(foreach variable,$(variables),$(eval override $(variable) := $$(value $(variable))))
override CRATE := $(or $(value CRATE),function)
override OUT := $(or $(value OUT),dist)
override ZIP := $(or $(value ZIP),$(OUT)/function.zip)
export GIVEN_ARCH $(variables)

build: ## dist/function.zip, with zig: no Docker, no root
	@scripts/build

docker-build: ## the same with musl and OpenSSL from source, in a container image with cross
	@scripts/docker-build

verify: ## what the zip is, or one line for each thing wrong with it; RUN=1 invokes it as well
	@scripts/verify

reproduce: ## build twice with all different that may differ, and compare: HOW=build|docker-build
	@scripts/reproduce

invoke: ## run the zip under AWS's emulator: EVENT='{…}' or EVENT=@file
	@scripts/invoke

toolchain: ## musl and OpenSSL from source into PREFIX=folder, without Docker
	@scripts/toolchain

fetch: ## all that a later build downloads, for one without a network
	@scripts/fetch

base-image: ## a base for docker-build from Debian's packages, where no registry can be reached
	@scripts/base-image

test: ## every test that this machine can run
	@scripts/test

bench: ## this runtime beside lambda_runtime and a bare loop; CHECK=1 fails where a target is missed
	@scripts/bench

conformance: ## what BINARY=file, any function, does about all that the Runtime API may do
	@scripts/conformance

fuzz: ## input that nobody has thought of, for all that reads from the wire: FOR=seconds
	@scripts/fuzz

soak: ## INVOCATIONS=number (a million) of events: none lost, memory flat, one connection
	@scripts/soak

lint: ## rustfmt, clippy, shellcheck, shfmt, actionlint, zizmor, cargo-deny
	@scripts/lint

doctor: ## what this machine lacks for each command
	@scripts/doctor

clean: ## remove all that was made
	rm -rf target dist

help: ## this list
	@scripts/help
