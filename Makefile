# make demo   set up and compare unrolling modalities on Kuramoto-Sivashinsky: a table and runs/demo/report.html
# make test   set up and run the tests
# make lint | bench | docs | check | clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Small kernels on few cores: OpenMP's spinning threads get in each other's way, processes side by side do not.
RUN := OMP_NUM_THREADS=1 $(BIN)/python

.PHONY: demo test venv lint bench docs check clean

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check torch==$(shell sed -n 's/^torch==//p' constraints.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,lint]'
	touch $@

venv: $(VENV)/.installed

demo: venv
	$(RUN) -m eddygrad compare --preset demo --folder runs/demo --jobs 2 --threads 1
	@echo "report: runs/demo/report.html"

test: venv
	$(RUN) -m pytest -n 2

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: venv
	$(BIN)/python benchmarks/run.py --suite all --rounds 3

# The versions of constraints.txt hold for torch too, so that nothing is installed twice.
docs: venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict --site-dir build/docs

check: venv
	$(RUN) -m eddygrad check

clean:
	rm -rf $(VENV) build dist *.egg-info
