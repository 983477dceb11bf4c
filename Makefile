# Each target sets up what it needs and can be repeated at any time. `make help` lists them.
#
# PYTHON=…    the Python (3.11 or later) that makes .venv; without it the first one that fits
# UPSTREAM=…  for `make run`: an ActiveSync server to stand in front of, instead of the demo mailbox
# DOMAIN=…    with UPSTREAM: the mail domain of its users, where it does not follow from the server's name
# TESTS=…     for `make test`: what pytest runs, instead of everything
# INPUTS=…    for `make fuzz`: how many in all (a million); SEED=… that of a run that is wanted again; TARGETS=… some parsers

BIN := .venv/bin
PYTHON_FILES := src tests $(wildcard bench)
# What make check runs: everything below the faces, on SQLite. The faces, PostgreSQL and real servers take minutes.
UNIT_TESTS := $(addprefix tests/,model engine wire settings telemetry store operations house conformance/test_engine.py)

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench fuzz lint format

help:
	@echo 'make setup   .venv with the program in it'
	@echo 'make run     the demo: a mailbox, a phone, the gateway and the API; UPSTREAM=https://mail.example.com for a real server'
	@echo 'make test    everything: checks, unit tests, and tests with the real servers (as root on Debian it installs them)'
	@echo 'make check   format, lint, types, contracts, and the unit tests below the faces: under a minute'
	@echo 'make bench   the measurements, side by side with other software (as root on Debian it installs that)'
	@echo 'make fuzz    hostile inputs for every parser, a million of them or INPUTS=…, in two processes (docs/fuzzing.md)'
	@echo 'make format  put the source files into the form that make check asks for'

setup:
	@scripts/set-up-venv base

run: setup
	@$(BIN)/gatepost demo $(if $(UPSTREAM),--upstream '$(UPSTREAM)') $(if $(DOMAIN),--domain '$(DOMAIN)')

test:
	@scripts/install-packages test
	@scripts/set-up-venv test
	@$(MAKE) --no-print-directory lint
	@echo '== tests'
	@$(BIN)/pytest -q -n auto --dist loadgroup $(TESTS)

check:
	@scripts/set-up-venv test
	@$(MAKE) --no-print-directory lint
	@echo '== unit tests'
	@$(BIN)/pytest -q -n auto -m 'not e2e' -k 'not postgresql' $(UNIT_TESTS)

bench:
	@scripts/install-packages bench
	@scripts/set-up-venv bench
	@$(BIN)/python -m bench

fuzz:
	@scripts/set-up-venv test
	@$(BIN)/python -m tests.fuzz --inputs $(or $(INPUTS),1000000) $(if $(SEED),--seed '$(SEED)') $(TARGETS)

lint:
	@echo '== format'
	@$(BIN)/ruff format --quiet --check $(PYTHON_FILES) || { echo 'some files are not formatted: run `make format`'; exit 1; }
	@echo '== lint'
	@$(BIN)/ruff check --quiet --no-cache $(PYTHON_FILES)
	@echo '== types'
	@$(BIN)/mypy --no-error-summary
	@echo '== contracts'
	@told=$$($(BIN)/lint-imports --no-logo 2>&1) || { echo "$$told"; exit 1; }

format:
	@scripts/set-up-venv test
	@$(BIN)/ruff format --quiet $(PYTHON_FILES)
	@$(BIN)/ruff check --quiet --fix $(PYTHON_FILES) || true
