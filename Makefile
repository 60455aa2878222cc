# Everything runs in .venv, which `make install` builds; every other target builds it if need be.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Percent of lines and branches that `make floors` wants: of src/, and of the rooms that all rest on.
# Left out by pyproject.toml: `if TYPE_CHECKING:`, bodies of protocols (`...`), assert_never.
COVERAGE ?= 95
COVERAGE_OF_CORE ?= 100
# Small networks and two cores: more threads than processes only get in each other's way.
export OMP_NUM_THREADS := 1

.PHONY: install demo test test-slow coverage floors clients docs check format

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: $(PYTHON) is older than 3.11; name another: make PYTHON=python3.12" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@# On its own and first: a range, or another package's wish for it, may bring a CUDA build.
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: install
	$(BIN)/rlfocal bench localpool --folds 3 --strategies all --report runs/demo
	@echo "Open runs/demo/index.html in a browser: real answers of three small models."

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
