# Two commands for a fresh machine with Python 3.11+, git and make: `make study` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DEVELOPMENT := .venv/.development

.PHONY: study test slow fuzz docs bench clean

# The main job on the digits that ship inside scikit-learn, to a finished report in studies/digits/.
study: $(READY)
	$(BIN)/mizumashi study digits --preset small --steps 600 --seeds 3

# The fast tests, side by side on one thread each, and everything that reads the code.
test: $(DEVELOPMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n logical --maxprocesses 4 --dist loadfile

# The tests that take minutes.
slow: $(DEVELOPMENT)
	$(BIN)/pytest -q -m slow

# Damaged and made-up files for every reader, a thousand each (SECURITY.md has the long run).
fuzz: $(DEVELOPMENT)
	$(BIN)/python tests/fuzz/run.py --inputs 1000

# The site of docs/, in build/site/; a warning is an error.
docs: $(DEVELOPMENT)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $(READY)

$(DEVELOPMENT): $(READY)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev,docs]'
	touch $(DEVELOPMENT)

# Every benchmark, on an idle machine; the whole takes an hour. MIZUMASHI_DATA names the folder of the real sets.
bench: $(DEVELOPMENT)
	for subject in gan_step step_profile checkpoint seeds sampling softmax cnn quality study growth; do $(BIN)/python benchmarks/$$subject.py || exit 1; done

clean:
	rm -rf .venv build studies
