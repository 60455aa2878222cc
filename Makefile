# Everything runs in .venv. `make demo` puts into it what `pip install rlfocal` brings, all others what
# `make install` does, in whatever order they are called.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
CORE := .venv/.core

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Percent of lines and branches that `make floors` wants: of src/, and of the rooms that all rest on.
# Left out by pyproject.toml: `if TYPE_CHECKING:`, bodies of protocols (`...`), assert_never.
COVERAGE ?= 95
COVERAGE_OF_CORE ?= 100
# Small networks and two cores: more threads than processes only get in each other's way.
export OMP_NUM_THREADS := 1

.PHONY: install demo test test-slow coverage floors clients wheel constraints docs check format

install: $(STAMP)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: $(PYTHON) is older than 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(STAMP): pyproject.toml | $(BIN)/python
	@# On its own and first: a range, or another package's wish for it, may bring a CUDA build.
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

$(CORE): pyproject.toml | $(BIN)/python
	@echo "Installing into .venv: about 100 MB to fetch, 350 MB in all, no torch; a minute or two."
	$(BIN)/python -m pip install --editable .
	touch $@

demo: $(if $(wildcard $(STAMP)),install,$(CORE))
	@echo "Comparing ways to use four small models, on real answers to 456 questions: seconds."
	$(BIN)/rlfocal quickstart localpool -o runs/demo --overwrite

test: install
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow"

# What programs that tests start run is not counted, nor what only slow tests run.
coverage: install
	PYTEST_ADDOPTS="--cov --cov-report=" $(MAKE) test
	$(MAKE) floors

floors: install
	$(BIN)/coverage report --skip-covered --fail-under=$(COVERAGE)
	$(BIN)/coverage report --include='src/rlfocal/diversity/*' --fail-under=$(COVERAGE_OF_CORE)
	$(BIN)/coverage report --include='src/rlfocal/deliberation/*,src/rlfocal/checkpoint/*' \
	    --fail-under=$(COVERAGE_OF_CORE)

# Learning to a known optimum, processes that are killed, members that drift: minutes more.
test-slow: install
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal -m slow

# Clients of the gateway that people use, in environments of their own; some need Node.js and npm.
clients:
	PYTHON=$(PYTHON) tests/clients/install.sh .clients

# What a user gets: built, measured and tried in a bare environment, away from the checkout.
wheel:
	PYTHON=$(PYTHON) packaging/try_wheel.sh

# Before a release: what it is tried with, by hashes; needs Python 3.11. torch is not among it: whose
# build is right depends on the machine.
constraints: install
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report - \
	    '.[learn,serve,postgres,otel]' | $(BIN)/python packaging/constraints.py

# The site of docs/, whose reference is made from the code; a broken link fails.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --site-dir .site

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
