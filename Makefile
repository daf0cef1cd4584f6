# `make demo` and `make test` each do all of their own set-up, in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.stamp-installed
export MPLBACKEND := Agg

.PHONY: demo test test-long lint schema docs bench build clean

demo: $(STAMP)
	$(BIN)/stpspec fit experiment=pvalb_pyr

test: $(STAMP) lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-long: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m long

lint: $(STAMP)
	$(BIN)/ruff check stpspec templates tests
	$(BIN)/ruff format --check stpspec templates tests
	$(BIN)/pyright
	$(BIN)/lint-imports

# The schemas that the YAML files name; tests/test_schema.py fails when they are out of date.
schema: $(STAMP)
	for part in experiment model recording protocol objective fitter numerics; do \
	  $(BIN)/stpspec schema $$part > conf/schema/$$part.json || exit 1; done

docs: $(STAMP)
	$(BIN)/mkdocs build --strict

# One table from one run, about ten minutes; the predecessor is installed in ~/.cache/stpspec-bench.
bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python tests/benchmarks/run.py --write docs/performance.md

build: $(STAMP)
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) dist build stpspec-results

# constraints.txt pins every version that was tested; pyproject.toml holds the loose lower bounds.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "stpspec needs Python 3.11 or newer; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@command -v g++ >/dev/null || { echo "stpspec needs g++ (Debian, Ubuntu: apt-get install g++)"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(STAMP)
