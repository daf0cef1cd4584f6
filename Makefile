# `make demo` and `make test` each do all of their own set-up, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.stamp-installed
DEVELOPMENT := $(VENV)/.stamp-development
LOWEST := .venv-lowest
LOWEST_INSTALLED := $(LOWEST)/.stamp-installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := -m pytest -n 2 --dist loadfile --no-loadscope-reorder
TESTS := # of `make test-lowest`; all fast ones by default
export MPLBACKEND := Agg
unexport PYTHONDONTWRITEBYTECODE # a tenth of the tests would be spent on compiling their modules

.PHONY: demo test test-long test-lowest lint schema docs bench build clean

demo: $(INSTALLED)
	$(BIN)/stpspec fit experiment=pvalb_pyr

test: $(DEVELOPMENT) lint
	$(BIN)/python $(PYTEST)

test-long: $(DEVELOPMENT)
	$(BIN)/python $(PYTEST) -m long

# The fast tests with the lowest versions that pyproject.toml allows, and the first NEURON that can tell
# all that they ask; NEURON 8 is tried by tests/test_package.py.
test-lowest: $(LOWEST_INSTALLED)
	$(LOWEST)/bin/python $(PYTEST) $(TESTS)

lint: $(DEVELOPMENT)
	$(BIN)/ruff check stpspec templates tests
	$(BIN)/ruff format --check stpspec templates tests
	$(BIN)/pyright
	$(BIN)/lint-imports

# The schemas that the YAML files name; tests/test_cli.py fails when they are out of date.
schema: $(INSTALLED)
	for part in experiment model recording protocol objective fitter numerics; do \
	  $(BIN)/stpspec schema $$part > conf/schema/$$part.json || exit 1; done

docs: $(DEVELOPMENT)
	$(BIN)/mkdocs build --strict

# One table from one run, about ten minutes; the predecessor is installed in ~/.cache/stpspec-bench.
bench: $(DEVELOPMENT)
	$(PIP) --group bench
	$(BIN)/python tests/benchmarks/run.py --write docs/performance.md

build: $(DEVELOPMENT)
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) $(LOWEST) dist build stpspec-results

# constraints.txt pins every version that was tested; pyproject.toml holds the loose lower bounds.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stpspec needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@command -v g++ >/dev/null || { echo "stpspec needs g++ (Debian, Ubuntu: apt-get install g++)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

# A group needs pip 25.1, and a new environment has the pip of its Python.
$(DEVELOPMENT): $(INSTALLED)
	$(PIP) pip
	$(PIP) -e '.[all]' --group dev
	touch $@

$(LOWEST_INSTALLED): pyproject.toml $(DEVELOPMENT)
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct -e '.[all]' 'neuron>=9.0' --group test
	touch $@
