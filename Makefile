# `make demo` and `make test` set up what they need in $(VENV), on a machine that has Python 3.10 or later, pip and make.
# Another interpreter: make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
PYTEST_ARGS ?=
BROKERS ?= all
# How long fuzz-compiled takes, and how long `make nightly` fuzzes each target.
FUZZ_SECONDS ?= 120
NIGHT_SECONDS ?= 3600
# What bench-guard compares with, how many times as many instructions it lets through, and where it keeps what it counted.
BASE ?=
LIMIT ?= 1.03
GUARD_CACHE ?= .bench-guard

# Python keeps what it has compiled here, and nowhere else: hundreds of tests start an interpreter, and pytest rewrites every
# module of tests and of hypothesis, which takes longer than many a test where nothing is kept (PYTHONDONTWRITEBYTECODE).
export PYTHONDONTWRITEBYTECODE :=
export PYTHONPYCACHEPREFIX = $(abspath $(VENV))/bytecode

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CHECKED := $(wildcard src tests examples benchmarks fuzz)

# What a user installs: made by `make dist` of what is here.
SOURCES := pyproject.toml setup.py MANIFEST.in README.md LICENSE $(shell find src -name '*.py' -o -name '*.pxd' -o -name py.typed)

.PHONY: help setup setup-interop setup-downstream demo test lint types unit unit-compiled packaging dist interop downstream \
  brokers stop-brokers fuzz fuzz-compiled nightly bench bench-guard clean

help:
	@echo "make demo           send and receive messages on the embedded broker"
	@echo "make test           lint, type check and test, as plain Python and compiled"
	@echo "make unit           the tests as plain Python; make unit-compiled: compiled"
	@echo "make dist           build the source distribution and the wheels into dist"
	@echo "make interop        test against the brokers that run, and against python-qpid-proton"
	@echo "make downstream     test the Azure packages that were written for uamqp 1.6, in an environment of their own"
	@echo "make brokers        install and start the brokers (Debian 12, root): BROKERS='rabbitmq3 activemq', default all"
	@echo "make stop-brokers   stop them"
	@echo "make fuzz           fuzz the codec, engine, messages, SASL and WebSockets, a minute each: FUZZ_ARGS='--seconds 3600' for longer"
	@echo "make fuzz-compiled  fuzz them compiled, FUZZ_SECONDS=$(FUZZ_SECONDS) in all"
	@echo "make nightly        what takes hours: the tests with new examples, every target fuzzed for NIGHT_SECONDS=$(NIGHT_SECONDS)"
	@echo "make bench          run the benchmarks"
	@echo "make bench-guard    compare what is here with another commit, in counted instructions: BASE=main~3 LIMIT=1.03"
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

# Plain Python: the sources here, as they are.
$(VENV)/.dev: $(VENV)/.python pyproject.toml
	@SKIP_CYTHON=1 $(PIP) install --editable '.[dev,examples,types]'
	@touch $@

$(VENV)/.interop: $(VENV)/.dev
	@SKIP_CYTHON=1 $(PIP) install --editable '.[dev,interop]'
	@touch $@

setup-downstream:
	@$(MAKE) --no-print-directory VENV=$(VENV)-downstream $(VENV)-downstream/.downstream

$(VENV)/.downstream: $(VENV)/.python pyproject.toml
	@SKIP_CYTHON=1 $(PIP) install --editable '.[dev,downstream]'
	@touch $@

demo: $(VENV)/.dev
	@$(BIN)/python examples/send_and_receive.py

test: lint types unit unit-compiled packaging

lint: $(VENV)/.dev
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff .; exit 1; }

types: $(VENV)/.dev
	@$(BIN)/mypy $(CHECKED)
	@$(BIN)/python -m pytest --quiet tests/typing

unit: $(VENV)/.dev
	@UAMQP_BUILD=pure $(BIN)/python -m pytest -n auto $(PYTEST_ARGS)

# The source distribution, the compiled wheel of it, and the pure wheel.
dist: $(VENV)/.dist

$(VENV)/.dist: $(VENV)/.dev $(SOURCES)
	@rm -rf dist
	@REQUIRE_CYTHON=1 $(BIN)/python -m build --outdir dist . >build.log 2>&1 || { cat build.log; exit 1; }
	@rm -rf build/lib # of an earlier build: what has moved since would be packed as well
	@SKIP_CYTHON=1 $(BIN)/python -m build --wheel --outdir dist . >>build.log 2>&1 || { cat build.log; exit 1; }
	@touch $@

# The compiled wheel, installed from its file into an environment of its own.
$(VENV)-compiled/.compiled: $(VENV)/.dist
	@$(MAKE) --no-print-directory VENV=$(VENV)-compiled $(VENV)-compiled/.python
	@$(VENV)-compiled/bin/python -m pip --quiet --disable-pip-version-check install --force-reinstall --no-deps dist/uamqp-*-cp*.whl
	@$(VENV)-compiled/bin/python -m pip --quiet --disable-pip-version-check install "$$(echo dist/uamqp-*-cp*.whl)[dev,examples]"
	@touch $@

# Everything below needs a C compiler. Without one that is said, and in CI it is a failure.
NO_COMPILER = echo "NOT TESTED: the compiled build, for there is no C compiler here" >&2; [ "$$CI" != true ]

unit-compiled: $(VENV)/.dev
	@if $(BIN)/python tests/packaging/compiler.py; then \
	  $(MAKE) --no-print-directory $(VENV)-compiled/.compiled && \
	  UAMQP_BUILD=compiled $(VENV)-compiled/bin/python -m pytest -n auto $(PYTEST_ARGS); \
	else $(NO_COMPILER); fi

# A test that compiles everything may take longer than the two minutes that another has; each command has a limit.
packaging: $(VENV)/.dev
	@if $(BIN)/python tests/packaging/compiler.py; then \
	  $(MAKE) --no-print-directory dist && $(BIN)/python -m pytest -o faulthandler_timeout=600 tests/packaging $(PYTEST_ARGS); \
	else $(NO_COMPILER); fi

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

FUZZERS := $(basename $(notdir $(wildcard fuzz/fuzz_*.py)))

fuzz-compiled: $(VENV)/.dev
	@if $(BIN)/python tests/packaging/compiler.py; then \
	  $(MAKE) --no-print-directory $(VENV)-compiled/.compiled && \
	  $(VENV)-compiled/bin/python -c 'import sys, uamqp.codec; sys.exit(not uamqp.codec.COMPILED)' && \
	  for name in $(FUZZERS); do \
	    $(VENV)-compiled/bin/python -m fuzz.$$name --seconds $$(($(FUZZ_SECONDS) / $(words $(FUZZERS)))) $(FUZZ_ARGS) || exit 1; done; \
	else $(NO_COMPILER); fi

nightly:
	@HYPOTHESIS_PROFILE=explore $(MAKE) --no-print-directory unit unit-compiled
	@$(MAKE) --no-print-directory fuzz FUZZ_ARGS='--seconds $(NIGHT_SECONDS) $(FUZZ_ARGS)'
	@$(MAKE) --no-print-directory fuzz-compiled FUZZ_ARGS='--seconds $(NIGHT_SECONDS) $(FUZZ_ARGS)'

# The peers come from the package index; uamqp 1.6.11 has wheels for CPython 3.7 to 3.11 on x86-64 alone.
$(VENV)-peers/.peers:
	@$(MAKE) --no-print-directory VENV=$(VENV)-peers $(VENV)-peers/.python
	@for package in uamqp==1.6.11 python-qpid-proton==0.40.0 azure-servicebus; do \
	  $(VENV)-peers/bin/python -m pip --quiet --disable-pip-version-check install $$package || echo "not measured: $$package" >&2; done
	@touch $@

bench: $(VENV)-compiled/.compiled $(VENV)-peers/.peers
	@SKIP_CYTHON=1 $(PIP) install --editable '.[bench]'
	@$(BIN)/python -m benchmarks --compiled $(VENV)-compiled/bin/python --pure $(BIN)/python \
	  --peers $(VENV)-peers/bin/python $(BENCH_ARGS)

# Both commits' wheels are built with the same compiler, each into an environment of its own, which is kept.
bench-guard: $(VENV)/.dev
	@$(BIN)/python -m benchmarks.guard $(if $(BASE),--base '$(BASE)') --limit $(LIMIT) --cache $(GUARD_CACHE) $(GUARD_ARGS)

clean:
	rm -rf $(VENV) $(VENV)-compiled $(VENV)-downstream $(VENV)-peers build build.log dist src/*.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage .benchmarks .bench-guard
	find src -name '*.so' -delete
	find src tests examples benchmarks fuzz -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
