# The front door. `make` lists what there is.
#
# Everything lives in .venv, made from the hashed locks in requirements/ by venv and pip alone.
# Once a target has set it up, that target needs no network.

PYTHON ?= python3
PYTEST_ARGS ?=
BENCH_ARGS ?=
KAFKA_ARGS ?=
TORTURE_ARGS ?=
EDGES_ARGS ?=
SIMULATION_ARGS ?=
UV ?= uv

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo run test check format bench bench-quick kafka torture-quick torture lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev $(VENV)/.project ## make .venv with everything a developer needs

demo: $(VENV)/.demo $(VENV)/.project ## 20 seconds of real input, with a SIGKILL in the middle
	@$(BIN)/reactor demo

run: $(VENV)/.demo $(VENV)/.project ## leave the demo project running, to play with
	@$(BIN)/reactor demo --stay

test: setup ## run every test; PYTEST_ARGS="-k files -x" narrows it
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: setup ## ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict reactor sensors/reactor_sensors handlers/reactor_handlers benchmarks tests
	$(BIN)/lint-imports

format: setup ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## measure; BENCH_ARGS are handed on
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

bench-quick: setup ## has something become much slower than the committed baseline? half a minute
	@$(BIN)/python -m benchmarks.guard

kafka: setup ## run a real Kafka broker on 127.0.0.1:19092 until Ctrl-C; KAFKA_ARGS=--help
	@$(BIN)/python -m tools.kafka $(KAFKA_ARGS)

torture-quick: setup ## end a daemon under load, cut its power, fail and fill its disk, be hostile to it; part of `make test`
	@$(BIN)/python -m pytest -m torture_quick tests/torture $(PYTEST_ARGS)

torture: setup ## the same for hours, resumable; TORTURE_ARGS="--kills 50 --seed 1", EDGES_ARGS="fuzz" are handed on
	@$(BIN)/python -m tests.torture run $(TORTURE_ARGS)
	@$(BIN)/python -m tests.torture edges $(EDGES_ARGS)
	@$(BIN)/python -m tests.simulation run $(SIMULATION_ARGS)

# One resolution (dev), and the smaller locks are cut from it, so that versions never differ.
COMPILE = $(UV) pip compile pyproject.toml -q --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock: ## resolve requirements/*.txt anew (needs uv); LOCK_ARGS=--upgrade moves the versions
	$(COMPILE) --group build --group dev --extra demo $(LOCK_ARGS) -o requirements/dev.txt
	$(COMPILE) --group build --extra demo -c requirements/dev.txt --no-annotate -o requirements/demo.txt
	$(COMPILE) --group build -c requirements/dev.txt --no-annotate -o requirements/run.txt

clean: ## remove .venv and every cache
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { \
	  echo "Reactor needs Python 3.11 or newer, and there is no '$(PYTHON)'. Install it, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Reactor needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "'$(PYTHON)' could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }

# dev.txt holds all of demo.txt, so either stamp is enough for the demo.
$(VENV)/.dev: requirements/dev.txt | $(BIN)/python
	@echo "installing requirements/dev.txt into $(VENV)"
	@$(PIP) install -q --require-hashes -r requirements/dev.txt
	@touch $@ $(VENV)/.demo

$(VENV)/.demo: requirements/demo.txt | $(BIN)/python
	@echo "installing requirements/demo.txt into $(VENV)"
	@$(PIP) install -q --require-hashes -r requirements/demo.txt
	@touch $@

# The project itself, editable. Either lock brings the build backend.
$(VENV)/.project: pyproject.toml | $(BIN)/python
	@test -e $(VENV)/.demo || $(MAKE) --no-print-directory $(VENV)/.demo
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@
