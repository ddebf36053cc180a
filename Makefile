# Two commands matter: `make demo` and `make test`. Both set everything up in .venv first; only Python 3.11+, make and git are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# The suite starts some hundred processes: each would compile the project again if none may leave its bytecode for the next.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test check format docs lock clean

help:
	@echo "make demo    the whole system on this machine, 24 jobs, media in ./demo-output"
	@echo "make test    the whole suite, with real servers"
	@echo "make check   format, lint, types"
	@echo "make format  mend what can be mended"
	@echo "make docs    renew the pages that are made from the catalogue"
	@echo "make lock    renew the locks from pyproject.toml"

setup: $(STAMP)

# One install for both: everything comes from the package index, pinned by hash.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: setup
	@$(BIN)/mediamill demo --out demo-output

# The suite starts hundreds of processes of ours: each would compile all of it again where Python is told to keep nothing.
test: export PYTHONDONTWRITEBYTECODE =
test: setup
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: setup
	@$(BIN)/python -m jobs.catalogue.pages docs/reference/operations

# No index address and no download URL may stand in the lock: it must work with whatever index its user has. The extras stay in
# it: pip holds `name[extra]` to a pin of the same words only, and would take the newest there is, which has no hash here.
COMPILE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-header --no-strip-extras --quiet --upgrade

lock: setup
	@$(COMPILE) --extra dev -o requirements.lock
	@$(COMPILE) --extra flower --extra build -o requirements.prod.lock

clean:
	@rm -rf demo-output .mediamill .pytest_cache .mypy_cache .ruff_cache
