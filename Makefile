# What people and CI run. `uv` is fetched when the machine lacks it: from PyPI, into
# a private environment (.uv), so that an externally managed Python stays untouched.

PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
ifeq ($(UV),)
UV := .uv/bin/uv
BOOTSTRAP := $(UV)
endif
RUN := $(UV) run --frozen

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow check format notebooks reference bench
.PHONY: bench-peers clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(BOOTSTRAP)  ## create .venv with the locked dependencies
	@$(UV) sync --frozen --quiet

# A Debian without python3-venv cannot run ensurepip; pip installs into a folder then.
.uv/bin/uv:
	@echo "uv is not installed; fetching it into .uv"
	@if $(PYTHON) -c 'import ensurepip' 2>/dev/null; then \
	    $(PYTHON) -m venv .uv && .uv/bin/python -m pip install --quiet uv; \
	else \
	    $(PYTHON) -m pip install --quiet --target .uv/lib uv && \
	    mkdir -p .uv/bin && ln -sf ../lib/bin/uv .uv/bin/uv; \
	fi

demo: setup  ## load real sentences, search by meaning, draw demo.png
	@$(RUN) python examples/demo.py

test: setup  ## every test but the slow ones; under three minutes
	@$(RUN) pytest -q -n 2 --dist worksteal -m "not slow"

test-slow: setup  ## the slow tests
	@$(RUN) pytest -q -n 2 --dist worksteal -m slow

check: setup  ## format, lint, types, import rules, the wire's messages
	@$(RUN) ruff format --check
	@$(RUN) ruff check
	@$(RUN) mypy
	@$(RUN) lint-imports --no-logo
	@$(RUN) python scripts/make_descriptors.py --check

format: setup  ## mend what the formatter and the linter can
	@$(RUN) ruff check --fix-only --quiet
	@$(RUN) ruff format

notebooks: $(BOOTSTRAP)  ## execute the example notebooks; WRITE=1 keeps their outputs
	@$(RUN) --isolated --group notebooks python examples/run_notebooks.py $(if $(WRITE),--write)

reference: setup  ## write the tables of docs/ from those in the code
	@$(RUN) python docs/make_reference.py
	@$(RUN) python docs/make_compatibility.py

bench: setup  ## the figures of the README, as ratios; SCALE=small for a quick look
	@$(RUN) python -m bench.run --scale $(or $(SCALE),full)

bench-peers: setup  ## beside Milvus and Milvus Lite, which are fetched once; SCALE=small
	@$(RUN) python -m bench.peers --scale $(or $(SCALE),full) $(if $(REAL),--real $(REAL))

clean:  ## remove what make and the tools created
	rm -rf .venv .uv .mypy_cache .pytest_cache .ruff_cache .hypothesis
	rm -rf demo.db demo.png bench-results bench-data
