# Passerby. `make demo` runs the main job, `make test` proves it; both set themselves up.

SHELL := /bin/bash
VENV ?= .venv
PY := $(VENV)/bin/python
DATA ?=
FACES ?= ../shared/data/faces

# RUNTIME=tflite installs tflite-runtime and NumPy 1.26, as on a Pi with Bookworm, also on x86.
RUNTIME ?= auto

.DEFAULT_GOAL := help
.PHONY: help device desk venv demo test lint bench models docs proof-acceptance proof-delivery proof-watchlist proof-forgetting proof-built-in convert venv-train venv-peers train-embedder train-ablation train-detector test-runtimes check-aarch64 lock clean

help:  ## say what there is
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 20

device:  ## on a device: only what it runs on, no development tools
	tools/setup/venv.sh $(VENV) device

desk:  ## on a desk's computer: the gateway and the other programs of the desk
	tools/setup/venv.sh $(VENV) desk

venv: $(VENV)/.ready  ## make the environment (also: VENV=, RUNTIME=tflite)

$(VENV)/.ready: requirements/lock.txt requirements/tflite.txt requirements/reference.txt pyproject.toml tools/setup/venv.sh
	tools/setup/venv.sh $(VENV) $(RUNTIME)

venv-train: .venv-train/.ready  ## make the environment that trains the built-in models

.venv-train/.ready: requirements/lock.txt requirements/train.txt pyproject.toml tools/setup/train.sh
	tools/setup/train.sh .venv-train

venv-peers: .venv-peers/.ready  ## make the environment of the benchmark's peers: dlib, ncnn, OpenVINO (1 GB, optional)

.venv-peers/.ready: requirements/lock.txt requirements/peers.txt pyproject.toml tools/setup/peers.sh
	tools/setup/peers.sh .venv-peers

# glibc gives memory back and fetches it anew at every step of a training unless it is told not to.
ALLOCATOR := MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=8589934592
TRAIN := $(ALLOCATOR) .venv-train/bin/passerby-lab train
TRAIN_DATA ?= ../shared/data/train
TEACHERS ?= ../shared/models/upstream

train-output/rendered.npz: | .venv-train/.ready
	@mkdir -p train-output
	.venv-train/bin/python -m tools.lab.people.pool --identities 6000 --views 5 --resume --out $@

train-embedder: venv-train train-output/rendered.npz  ## teach the built-in embedder (hours; resumable)
	$(TRAIN) embedder --data $(TRAIN_DATA) --rendered train-output/rendered.npz \
		--teacher $(TEACHERS)/face-reidentification-retail-0095.xml --out train-output/embedder --resume
	$(TRAIN) export --checkpoint train-output/embedder/student.pt --data $(TRAIN_DATA) \
		--rendered train-output/rendered.npz --out train-output/passerby-embedder.tflite

WATCH ?= train-output/watch.npz
train-ablation: venv-train train-output/rendered.npz  ## what each kind of sample buys (an hour and more; needs PAIRS=pairs.csv or WATCH=)
	@test -f $(WATCH) || $(TRAIN) watch --pairs "$(PAIRS)" --out $(WATCH)
	$(ALLOCATOR) tools/setup/ablation.sh .venv-train $(TRAIN_DATA) $(TEACHERS) $(WATCH)

train-detector: venv-train  ## teach the built-in detector (an hour or two; resumable)
	$(TRAIN) detector --data $(TRAIN_DATA) --out train-output/detector --resume

models: venv  ## fetch the operational models from ../shared/models, where it is there
	@tools/setup/models.sh $(VENV)

demo: venv  ## the main job: enrol, watch, alert, on rendered people (DATA=folder: on real clips)
	@$(if $(DATA),tools/setup/models.sh $(VENV) quiet)
	@$(VENV)/bin/passerby-lab demo $(if $(DATA),--data $(DATA))

test: venv models lint  ## lint, types, import contracts, all tests
	@tools/setup/broker.sh
	@tools/setup/proof.sh
	$(PY) -m pytest -n auto --dist loadfile

lint: venv  ## style, types, import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

QUICK ?=
bench: venv models  ## speed, memory, accuracy, beside other pipelines, into docs/benchmarks.md (an hour and a half or so, never timed as one; QUICK=1: some ten minutes, into bench-output/)
	@tools/setup/broker.sh
	@$(if $(QUICK),,$(MAKE) --no-print-directory venv-peers)
	@$(VENV)/bin/passerby-lab bench $(if $(QUICK),--quick,--docs) $(if $(DATA),--data $(DATA))

proof-acceptance: venv models  ## enrol, stills, clips, negatives of DATA (2 minutes)
	@$(VENV)/bin/passerby-lab acceptance $(if $(DATA),--data $(DATA))

test-runtimes: ## the same suite with tflite-runtime (Python 3.11) and LiteRT (Python 3.12 or later) (10 minutes)
	tools/setup/runtimes.sh

check-aarch64: venv  ## every package of a device has a wheel for 64-bit Arm (1 minute)
	@tools/setup/aarch64.sh $(VENV)

proof-delivery: venv  ## alerts cannot be lost, read or forged: every proof of it, into proof-output/delivery.json (about an hour)
	@tools/setup/broker.sh
	$(PY) -m tests.reliability.delivery --out proof-output/delivery.json

proof-watchlist: venv models  ## a list that is lawful: its life, 2,000 entries, a stolen card, unlinkability, the log (an hour or so; never timed as one)
	@tools/setup/broker.sh
	@mkdir -p proof-output
	$(PY) -m tests.reliability.life --out proof-output/a-lists-life.md
	$(PY) -m tests.reliability.two_thousand --json proof-output/two-thousand.json
	$(PY) -m tests.reliability.stolen_card --json proof-output/stolen-card.json
	$(PY) -m tests.reliability.audit
	$(PY) -m tests.reliability.policy_mutation
	$(PY) -m tests.reliability.protection
	@test ! -d $(FACES) || $(VENV)/bin/passerby-lab protection --data $(FACES) --json proof-output/protection.json

proof-forgetting: venv models  ## everyone who is not on the list is forgotten: 10,000 strangers, every fault (about 25 minutes; as root, or where user namespaces are allowed)
	@tools/setup/broker.sh
	@tools/setup/proof.sh
	@mkdir -p -m 700 proof-output/cache
	$(PY) -m tests.privacy.forgetting --cache proof-output/cache --out proof-output/forgetting.json

proof-built-in: venv  ## the built-in models on rendered people that nothing was trained on (about 5 minutes)
	@test -f proof-output/rendered/manifest.csv || $(VENV)/bin/passerby-lab render --out proof-output/rendered \
		--people 100 --strangers 1000
	@mkdir -p -m 700 proof-output/cache
	$(VENV)/bin/passerby-lab evaluate --manifest proof-output/rendered --models built-in \
		--cache proof-output/cache --json proof-output/built-in.json --html proof-output/built-in.html

convert: venv  ## published models to .tflite and recipes, into convert-output/ (10 minutes)
	@$(VENV)/bin/passerby-lab convert --from $${MODELS:-../shared/models}

docs: venv  ## write the generated pages: configuration, schemas, distances
	$(PY) -m tools.setup.pages

lock: venv  ## renew the pinned requirements
	PATH=$(VENV)/bin:$$PATH tools/setup/lock.sh

clean:  ## remove the environment and what was generated
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache demo-output bench-output convert-output proof-output .venv-train .venv-peers
