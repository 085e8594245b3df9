# The front door. Each target is one script; variables reach it through the environment, to the letter.

.DEFAULT_GOAL := build
.PHONY: build invoke test lint doctor help clean

ARCH ?= x86_64
CRATE ?= .
OUT ?= dist

# `value` keeps make from expanding what a user gave: a $ in an event is a $.
override ARCH := $(value ARCH)
override CRATE := $(value CRATE)
override OUT := $(value OUT)
override ZIP := $(if $(value ZIP),$(value ZIP),$(OUT)/function.zip)
override EVENT := $(value EVENT)
export ARCH CRATE OUT ZIP EVENT

build: ## dist/function.zip, with zig: no Docker, no root
	@scripts/build

invoke: ## run the zip under AWS's emulator: EVENT='{…}' or EVENT=@file
	@scripts/invoke

test: ## every test that this machine can run
	@scripts/test

lint: ## rustfmt, clippy, shellcheck, shfmt
	@scripts/lint

doctor: ## what this machine lacks for each command
	@scripts/doctor

clean: ## remove all that was made
	rm -rf target dist

help: ## this list
	@scripts/help
