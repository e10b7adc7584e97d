# `make demo` and `make test` set up what they need in $(VENV), on a machine that has Python 3.10 or later, pip and make.
# Another interpreter: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
BROKERS ?= all

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CHECKED := $(wildcard src tests examples benchmarks fuzz)

.PHONY: help setup setup-interop setup-downstream demo test lint types unit interop downstream brokers stop-brokers fuzz bench clean

help:
	@echo "make demo           send and receive messages on the embedded broker"
	@echo "make test           lint, type check and test"
	@echo "make interop        test against the brokers that run, and against python-qpid-proton"
	@echo "make downstream     test the Azure packages that were written for uamqp 1.6, in an environment of their own"
	@echo "make brokers        install and start the brokers (Debian 12, root): BROKERS='rabbitmq3 activemq', default all"
	@echo "make stop-brokers   stop them"
	@echo "make fuzz           fuzz the codec, the engine and SASL, a minute each: FUZZ_ARGS='--seconds 3600' for longer"
	@echo "make bench          run the benchmarks"
	@echo "make clean          remove what was built and installed here"

setup: $(VENV)/.dev

setup-interop: $(VENV)/.interop

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "uamqp needs Python 3.10 or later; $(PYTHON) is not that. Try: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "Setting up $(VENV) ..."
	@# Debian splits ensurepip off; the pip that is installed beside Python does as well.
	@$(PYTHON) -m venv --clear $(VENV) >/dev/null 2>&1 || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	  $(PYTHON) -m pip --quiet --disable-pip-version-check --python $(BIN)/python install pip; } || { \
	  echo "cannot make a virtual environment with $(PYTHON): it needs the module ensurepip (Debian: apt-get install python3-venv)," \
	    "or pip 22.3 or later" >&2; exit 1; }
	@touch $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml
	@$(PIP) install --editable '.[dev]'
	@touch $@

$(VENV)/.interop: $(VENV)/.dev
	@$(PIP) install --editable '.[dev,interop]'
	@touch $@

setup-downstream:
	@$(MAKE) --no-print-directory VENV=$(VENV)-downstream $(VENV)-downstream/.downstream

$(VENV)/.downstream: $(VENV)/.python pyproject.toml
	@$(PIP) install --editable '.[dev,downstream]'
	@touch $@

demo: $(VENV)/.dev
	@$(BIN)/python examples/send_and_receive.py

test: lint types unit

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff .; exit 1; }

types: $(VENV)/.dev
	@$(BIN)/mypy $(CHECKED)

unit: $(VENV)/.dev
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

interop: $(VENV)/.interop
	@$(BIN)/python -m pytest tests/interop tests/peer $(PYTEST_ARGS)

downstream: setup-downstream
	@$(VENV)-downstream/bin/python -m pytest tests/downstream $(PYTEST_ARGS)

brokers:
	@tests/interop/brokers/start.sh $(BROKERS)

stop-brokers:
	@tests/interop/brokers/stop.sh $(BROKERS)

fuzz: $(VENV)/.dev
	@for program in fuzz/fuzz_*.py; do $(BIN)/python -m fuzz.$$(basename $$program .py) $(FUZZ_ARGS) || exit 1; done

bench: $(VENV)/.dev
	@for program in benchmarks/bench_*.py; do $(BIN)/python $$program || exit 1; done

clean:
	rm -rf $(VENV) $(VENV)-downstream build dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .benchmarks
	find src tests examples benchmarks fuzz -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
