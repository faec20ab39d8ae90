# Passerby. `make demo` runs the main job, `make test` proves it; both set themselves up.

SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
DATA ?=

# RUNTIME=tflite installs tflite-runtime and NumPy 1.26, as on a Pi with Bookworm, also on x86.
RUNTIME ?= auto

.DEFAULT_GOAL := help
.PHONY: help device venv demo test lint bench models docs proof-acceptance test-runtimes check-aarch64 lock clean

help:  ## say what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 20

device:  ## on a device: only what it runs on, no development tools
	tools/setup/venv.sh $(VENV) device

venv: $(VENV)/.ready  ## make the environment (also: VENV=, RUNTIME=tflite)

$(VENV)/.ready: requirements/lock.txt requirements/tflite.txt requirements/reference.txt pyproject.toml tools/setup/venv.sh
	tools/setup/venv.sh $(VENV) $(RUNTIME)

models: venv  ## fetch the operational models from ../shared/models, where it is there
	@tools/setup/models.sh $(VENV)

demo: venv  ## the main job: enrol, watch, alert (DATA=folder of faces)
	@tools/setup/models.sh $(VENV) quiet
	@$(VENV)/bin/passerby-lab demo $(if $(DATA),--data $(DATA))

test: venv models lint  ## lint, types, import contracts, all tests
	@tools/setup/broker.sh
	$(PY) -m pytest

lint: venv  ## style, types, import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

bench: venv models  ## speed and memory of this machine, into bench-output/ (5 minutes)
	@$(VENV)/bin/passerby-lab bench $(if $(DATA),--data $(DATA))

proof-acceptance: venv models  ## enrol, stills, clips, negatives of DATA (2 minutes)
	@$(VENV)/bin/passerby-lab acceptance $(if $(DATA),--data $(DATA))

test-runtimes: ## the same suite with tflite-runtime (Python 3.11) and LiteRT (Python 3.12 or later) (10 minutes)
	tools/setup/runtimes.sh

check-aarch64: venv  ## every package of a device has a wheel for 64-bit Arm (1 minute)
	@tools/setup/aarch64.sh $(VENV)

docs: venv  ## write the generated pages: configuration, schemas, distances
	$(PY) -m tools.setup.pages

lock: venv  ## renew the pinned requirements
	PATH=$(VENV)/bin:$$PATH tools/setup/lock.sh

clean:  ## remove the environment and what was generated
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-output bench-output
