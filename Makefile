# Two commands for a fresh machine with Python 3.11+, git and make: `make study` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: study test slow clean

# The main job on the digits that ship inside scikit-learn, to a finished report in studies/digits/.
study: $(READY)
	$(BIN)/mizumashi study digits --preset small --seeds 3

# The fast tests, and everything that reads the code.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q

# The tests that take minutes.
slow: $(READY)
	$(BIN)/pytest -q -m slow

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:
	rm -rf .venv studies
