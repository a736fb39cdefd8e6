# `make app` serves the dashboard, `make test` runs every check. Both set up .venv first.
PYTHON ?= python3
PORT ?= 8501
VENV := .venv
BIN := $(VENV)/bin
# An index to take torch's builds from, such as the CPU builds' one; pip's own when empty.
TORCH_INDEX ?=
TORCH := $(shell grep '^torch==' constraints.txt)
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# Prints what was done and how long it took: $(call took,what)
started := $(shell date +%s)
took = echo "$(1) took $$(( $$(date +%s) - $(started) )) s"

.PHONY: app test test-models bench readme methods-table screenshots install install-dev chromium lint types walls docker-lint pytest clean help

help:
	@echo "make app          install, serve the dashboard on 127.0.0.1:$(PORT), profile the sample model"
	@echo "make test         every check: lint, types, walls, unit, page and browser tests"
	@echo "make test-models  the checks over the folder that RANKSCOPE_TEST_MODELS names"
	@echo "make bench        the benchmarks of tests/bench"
	@echo "make methods-table  the README's table of compression methods, measured on the sample"
	@echo "make screenshots  the README's pictures, of the pages of the sample"
	@echo "TORCH_INDEX=URL   take torch's builds from that index"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Rankscope needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try make PYTHON=python3.11"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "could not make $(VENV): is the venv module installed (python3-venv on Debian)?"; exit 2; }

$(VENV)/.installed: requirements.txt constraints.txt | $(BIN)/python
	@echo "installing into $(VENV) (a few minutes the first time)"
	@# Alone, for that index holds few other versions; what torch needs comes with the next line.
	@$(PIP) --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(PIP) -r requirements-dev.txt
	@touch $@

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

app: install
	@$(call took,set-up)
	@exec $(BIN)/python -m streamlit run app/main.py --server.port $(PORT)

# The browser test drives Debian's chromium; without it the test says what it skipped.
chromium:
	@command -v chromium >/dev/null || { \
		if [ "$$(id -u)" = 0 ]; then apt-get update -qq && apt-get install -y -qq chromium >/dev/null; \
		else sudo -n sh -c 'apt-get update -qq && apt-get install -y -qq chromium' >/dev/null 2>&1; fi; } 2>/dev/null || true
	@command -v chromium >/dev/null || echo "SKIPPED: no chromium on the PATH and none could be installed, so the browser test will not run"

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install-dev
	$(BIN)/mypy

walls: install-dev
	PYTHONPATH=. $(BIN)/lint-imports --no-cache

docker-lint: install-dev
	$(BIN)/hadolint Dockerfile

pytest: install-dev chromium
	$(BIN)/python -m pytest -m "not models"

test: lint types walls docker-lint pytest
	@$(call took,make test)

test-models: install-dev
	$(BIN)/python -m pytest -m models
	@$(call took,make test-models)

bench: install-dev
	@for bench in $(filter-out tests/bench/methods_table.py,$(wildcard tests/bench/*.py)); do echo "== $$bench"; PYTHONPATH=. $(BIN)/python $$bench || exit 1; done

# Writes the README's table of compression methods from trials of the sample (some minutes).
methods-table: install-dev
	@PYTHONPATH=. $(BIN)/python tests/bench/methods_table.py --write

# Pictures the pages of the sample, with a sweep of it, for the README (some minutes).
screenshots: install-dev chromium
	@PYTHONPATH=. $(BIN)/python tests/browser/screenshots.py

# Writes the README's list of analyses from what the registry declares.
readme: install-dev
	@PYTHONPATH=. $(BIN)/python tests/test_readme.py

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
