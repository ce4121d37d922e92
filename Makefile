# make quickstart   see the whole of ckgit work on a tiny model
# make test         unit, property and integration tests
# make test-slurm   tests on a fake SLURM and on a real one, which it installs (apt) and starts on this machine; with LONG=1
#                   2,000 examples of the model of submission and 200 kills, instead of 200 and 10
# make check        lint, types, layers, schemas and docs
# make smollm2      the experiment of README.md on SmolLM2-135M-Instruct
# make bench        what each operation costs, beside its floor
# make bench-slurm  what it costs on a SLURM, which it installs (apt) and starts on this machine

# The newest Python that works; `make quickstart PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: quickstart smollm2 test test-slurm check docs bench bench-slurm clean

quickstart: $(VENV)/.run
	$(BIN)/ckgit quickstart --cache .cache quickstart-lab

smollm2: $(VENV)/.smollm2
	$(BIN)/ckgit quickstart --cache .cache --example smollm2 smollm2-lab

# Tests make thousands of small commits, each flushed to disk: in memory they take half the time, where memory is plenty.
SHM_FREE := $(shell df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)
test: export TMPDIR := $(shell [ "$(SHM_FREE)" -gt 6000000 ] 2>/dev/null && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
# Thousands of short processes would each compile ckgit anew where the environment forbids to keep bytecode.
test test-slurm: export PYTHONDONTWRITEBYTECODE :=
test: $(VENV)/.run $(VENV)/.dev
	$(BIN)/python -m pytest -q --numprocesses=auto --dist=loadfile --no-loadscope-reorder --ignore=tests/slurm

# Tests on the real SLURM stop its daemons and fill its nodes: they come after each other, and the others beside them.
SLURM_TESTS = $(if $(LONG),CKGIT_LONG_TESTS=1) $(BIN)/python -m pytest -q tests/slurm
# The cluster's folder must be short and is its own business; the tests' files are those of `make test`.
test-slurm: export TMPDIR := $(shell [ "$(SHM_FREE)" -gt 6000000 ] 2>/dev/null && echo /dev/shm || echo "$${TMPDIR:-/tmp}")
test-slurm: $(VENV)/.run $(VENV)/.dev
	tests/slurm/cluster install
	tests/slurm/cluster up
	$(SLURM_TESTS) -m "not slurm" & others=$$!; \
		CKGIT_REQUIRE_SLURM=1 $(SLURM_TESTS) -m slurm; code=$$?; \
		wait $$others || code=$$?; tests/slurm/cluster down; exit $$code

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check

docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate

bench: $(VENV)/.run
	$(BIN)/python -m bench

bench-slurm: $(VENV)/.run
	tests/slurm/cluster install
	tests/slurm/cluster up
	settings=$$(tests/slurm/cluster env) && eval "$$settings" && $(BIN)/python -m bench.slurm; \
		code=$$?; tests/slurm/cluster down; exit $$code

clean:
	rm -rf $(VENV) quickstart-lab smollm2-lab .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Stamps: each part of the installation is made again when pyproject.toml changes.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "ckgit needs Python 3.11 or newer with its venv module; found none. Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.1'
	touch $@

$(VENV)/.run: $(VENV)/.made pyproject.toml
	@echo "Installing ckgit[run]: torch, torchtune, inspect-ai and what they need. This takes some minutes the first time."
	$(PIP) -e '.[run]'
	touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml
	$(PIP) -e . --group dev
	touch $@

$(VENV)/.smollm2: $(VENV)/.run
	$(PIP) gguf
	touch $@
