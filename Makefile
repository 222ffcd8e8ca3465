# Everything a person or a machine does with this repository. `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
REPO ?= .
BIN := .venv/bin

.PHONY: help setup scan up test check bench chaos schemas lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/ready ## everything into .venv, with the strandline command

.venv/ready: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one with PYTHON=")'
	@echo "setting up .venv (once, about half a minute) …" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

scan: setup ## scan REPO=path-or-url and print its task list
	@$(BIN)/strandline scan "$(REPO)" $(ARGS)

up: setup ## run as a service until stopped
	@$(BIN)/strandline up $(ARGS)

test: setup ## every test (the short version of the long ones)
	$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: setup ## format, lint, types, layers, schema drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy libs services
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m schemas.generate --check

bench: setup ## the benchmarks, as a table and JSON
	$(BIN)/python -m benchmarks $(ARGS)

chaos: setup ## 200 random kill -9 in the middle of scans
	$(BIN)/pytest tests/chaos -m chaos -s --chaos-kills 200 --timeout 3600 $(ARGS)

schemas: setup ## JSON Schemas and AsyncAPI from libs/events
	$(BIN)/python -m schemas.generate

lock: setup ## pin the newest versions that pyproject.toml allows
	$(BIN)/uv pip compile pyproject.toml --extra dev --generate-hashes --no-emit-index-url --universal \
		--no-header --upgrade --quiet -o requirements.txt

clean: ## remove what was set up
	rm -rf .venv build *.egg-info
