# Everything there is to run. `make` alone lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

ARGS ?=
SEEDS ?= 5000
TEST_WORKERS ?= 2
STEP ?= 1
FOLDER ?= shots

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
WIRE := common/huying/wire/v1

# Each stamp is one lock file, installed; standard output stays free for the program's own.
define install
	@echo "正在安装依赖 / installing $<" >&2
	@$(PIP) install --require-hashes -r $< >&2
	@$(PIP) install --no-deps --no-build-isolation -e . >&2
	@touch $@
endef

.PHONY: help
help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.PHONY: demo
demo: $(VENV)/.runtime ## seven nodes on this machine, with real requests: ARGS="--once --json"
	@$(BIN)/huying demo $(ARGS)

.PHONY: bench
bench: $(VENV)/.runtime ## entries per second and delay: ARGS="--json"
	@$(BIN)/huying bench $(ARGS)

# Files go out in the order they are found: those that start browsers and networks first, so that no
# worker is left alone with a long one at the end.
.PHONY: test
test: $(VENV)/.test ## all tests: ARGS="-k note", TEST_WORKERS=1
	@.ci/deps git prometheus chromium fonts-noto-cjk || [ -z "$${CI:-}" ]
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: sim
sim: $(VENV)/.test ## the simulator for long: SEEDS=5000 ARGS="--first-seed 200"
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) tests/simulator --seeds $(SEEDS) $(ARGS)

.PHONY: thin-link
thin-link: $(VENV)/.test ## 10,000 entries over 64 kbit/s that is cut every 5 s: some 18 minutes
	@HUYING_THIN_LINK=full $(BIN)/python -m pytest tests/integration/test_thin_link.py $(ARGS)

.PHONY: shots
shots: $(VENV)/.test ## a picture of every page, at a desk and on a handset: FOLDER=shots
	@.ci/deps chromium fonts-noto-cjk
	@$(BIN)/python -m tests.browser.shots $(FOLDER)

.PHONY: bits
bits: $(VENV)/.test ## a bit of every byte flipped, for hours: STEP=16 for a part of them
	@HUYING_BITS_STEP=$(STEP) $(BIN)/python -m pytest -n $(TEST_WORKERS) tests/integration/test_bits.py $(ARGS)

# Pyright runs on the Node.js that the lock file brings, and asks no registry for a newer self.
.PHONY: lint
lint: $(VENV)/.dev ## style, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@PYRIGHT_PYTHON_GLOBAL_NODE=off PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --warnings
	@$(BIN)/lint-imports

.PHONY: format
format: $(VENV)/.dev ## mend what ruff can mend
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

.PHONY: proto
proto: $(VENV)/.test ## regenerate the wire code from proto/
	@out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; .ci/proto "$$out"; \
		rm -f $(WIRE)/*_pb2*; cp "$$out"/huying/wire/v1/* $(WIRE)/

.PHONY: lock
lock: $(VENV)/.dev ## lock the newest versions that pyproject.toml allows
	@$(call compile,requirements-dev.txt,--upgrade --group dev)
	@$(call compile,requirements-test.txt,--group test --group build -c requirements-dev.txt)
	@$(call compile,requirements.txt,--group build -c requirements-dev.txt)

.PHONY: outdated
outdated: $(VENV)/.dev ## libraries that are newer than the lock: docs/OPERATIONS.md says by when to take them
	@$(BIN)/uv pip list --outdated --no-config

compile = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-config \
	--custom-compile-command "make lock" --output-file $(1) $(2) >/dev/null

.PHONY: deps
deps: ## system packages (Debian); starts no service
	@.ci/deps python3-venv git prometheus chromium fonts-noto-cjk

.PHONY: clean
clean: ## remove what was built; the demo's data too
	@rm -rf $(VENV) .demo .bench build dist .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis
	@find common node hub tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@.ci/venv >&2

$(VENV)/.runtime: requirements.txt pyproject.toml | $(BIN)/python
	$(install)

$(VENV)/.test: requirements-test.txt pyproject.toml | $(BIN)/python
	$(install)

$(VENV)/.dev: requirements-dev.txt pyproject.toml | $(BIN)/python
	$(install)
