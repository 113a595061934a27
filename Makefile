# What there is to run. Everything sets itself up first: a plain python3 (3.11 or newer) is enough.
#
#   make demo            a generated year of journeys, checked, then served until Ctrl-C   (ARGS=--exit ends instead)
#   make test            style, types, import rules, all tests, two files at a time   (ARGS="-n 0 tests/unit": these, one by one)
#   make bench           the table of what it must reach
#   make bench-large     the same with ten times as many touchpoints
#   make migration       write down how a room's tables change   (ROOM=journey NAME="what changes")
#   make lock            pin the dependencies anew

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo test bench bench-large migration lock

setup: $(READY)

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Waypost needs Python 3.11 or newer; name one with make PYTHON=…")'
	@echo "Setting up .venv with the pinned versions …"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	@$(BIN)/waypost demo $(ARGS)

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: setup
	@$(BIN)/python -m benchmarks $(ARGS)

bench-large: setup
	@$(BIN)/python -m benchmarks --large $(ARGS)

migration: setup
	@$(BIN)/python -m tests.migration $(ROOM) "$(NAME)"
	@$(BIN)/ruff format --quiet services/$(ROOM)/migrations

LOCK := .cache/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --upgrade

lock:
	@$(PYTHON) -m venv .cache/lock
	@.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOCK) pyproject.toml --output-file requirements.lock
	$(LOCK) --extra dev --constraint requirements.lock pyproject.toml --output-file requirements-dev.lock
