# What a person does here. Needs Python 3.11 or newer, make, and a package index; uv is used
# when it is there. Everything is installed into .venv, and only when pyproject.toml changed.

PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$name && break; done)
UV := $(shell command -v uv 2>/dev/null)
VENV := .venv
WAYBACK_VENV := .venv-wayback
BIN := $(VENV)/bin
# More than there are cores: many tests wait for delays and processes rather than compute.
WORKERS ?= 3
SOAK ?= --days 90

.DEFAULT_GOAL := help
.PHONY: help run demo test test-wayback test-faults lint bench soak docs clean

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*##/make \1\t/p' $(MAKEFILE_LIST)

run: $(VENV)/.stamp-run  ## One complete pass over events/, then say where the report is
	$(BIN)/archiver run --once
	@report="$${ARCHIVER_REPORT__DIRECTORY:-report}/report.html"; \
	case $$report in /*) ;; *) report="$(CURDIR)/$$report" ;; esac; \
	if [ -f "$$report" ]; then echo "The report: $$report"; fi

demo: $(VENV)/.stamp-run  ## The same against a rehearsed internet on this machine
	$(BIN)/archiver demo

test: lint  ## Everything that has to hold
	$(BIN)/pytest -n $(WORKERS)

test-wayback: $(VENV)/.stamp-test $(WAYBACK_VENV)/.stamp  ## The pipeline against a real Wayback (pywb)
	ARCHIVER_WAYBACK_BIN="$(CURDIR)/$(WAYBACK_VENV)/bin" $(BIN)/pytest tests/wayback

test-faults: $(VENV)/.stamp-test  ## Kill the service under load, far more often than make test
	ARCHIVER_TEST_KILLS=100 $(BIN)/pytest -n $(WORKERS) tests/service/test_kill_nine.py

lint: $(VENV)/.stamp-test  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.stamp-test  ## Measure, and print the tables of benchmarks/
	@failed=0; for script in benchmarks/bench_*.py; do \
		echo "== $$script"; $(BIN)/python "$$script" || failed=1; done; exit $$failed

soak: $(VENV)/.stamp-test  ## Three months of the service in ten minutes: nothing grows or drifts
	$(BIN)/python benchmarks/soak.py $(SOAK)

docs: $(VENV)/.stamp-run  ## Write anew what the documents say of commands and reasons
	$(BIN)/python docs/generate.py

clean:  ## Remove what was built here, never a database, a report or a capture
	rm -rf $(VENV) $(WAYBACK_VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
ifneq ($(UV),)
	$(UV) venv --quiet --python '>=3.11' $(VENV)
else
	@test -n "$(PYTHON)" || { \
		echo "No Python 3.11 or newer was found; install one, or say make PYTHON=/path/to/it" >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot make environments; on Debian and Ubuntu install python3-venv" >&2; \
		exit 1; }
endif

$(VENV)/.stamp-run: pyproject.toml | $(VENV)/bin/python
	$(call install,.)
	@touch $@

$(VENV)/.stamp-test: pyproject.toml | $(VENV)/bin/python
	$(call install,.[test])
	@touch $@ $(VENV)/.stamp-run

# pywb pins old libraries, so it never shares an environment with ours.
$(WAYBACK_VENV)/.stamp:
	@rm -rf $(WAYBACK_VENV)
ifneq ($(UV),)
	@$(UV) venv --quiet --python '>=3.11,<3.15' $(WAYBACK_VENV)
	@$(UV) pip install --quiet --python $(WAYBACK_VENV)/bin/python 'pywb>=2.10,<2.11'
else
	@$(PYTHON) -m venv $(WAYBACK_VENV)
	@$(WAYBACK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check 'pywb>=2.10,<2.11'
endif
	@touch $@

ifneq ($(UV),)
install = $(UV) pip install --quiet --python $(BIN)/python --editable '$(1)'
else
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '$(1)'
endif
