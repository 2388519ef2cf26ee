# Two commands on a fresh machine: `make reproduce-fig1` and `make test`. Each builds .venv by itself, once.
# Needs python3 (3.11 to 3.13) with venv, make, and a network to a package index.

PYTHON  ?= python3
SCALE   ?= auto
SEEDS   ?= 0
WORKERS ?= 0
LAUNCHER ?= local
EXTRAS  ?=
ARGS    ?=

VARIABLES := PYTHON SCALE SEEDS DLN_SEEDS WORKERS LAUNCHER EXTRAS ARGS NORM MODEL RUNS
GIVEN := $(foreach v,$(.VARIABLES),$(if $(filter command,$(origin $v)),$v))
UNKNOWN := $(filter-out $(VARIABLES) MAKE% -%,$(GIVEN))
$(if $(UNKNOWN),$(error $(UNKNOWN): no such variable; known here: $(VARIABLES)))

COMMA := ,
KNOWN_EXTRAS := optuna,ray,slurm,workspace
UNKNOWN_EXTRAS := $(filter-out $(subst $(COMMA), ,$(KNOWN_EXTRAS)),$(subst $(COMMA), ,$(EXTRAS)))
$(if $(UNKNOWN_EXTRAS),$(error EXTRAS=$(EXTRAS): no such extra as $(UNKNOWN_EXTRAS); known here: $(KNOWN_EXTRAS)))
PIP = $(BIN)/python -m pip install -qq --disable-pip-version-check
# Where Python may not keep what it compiles, as in many containers, every process would compile torch anew: seconds each.
COMPILED = $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)
# uv installs a few times as fast; where it cannot, as with an index that only pip is told of, pip does.
install = { $(BIN)/uv pip install -q $(COMPILED) --python $(BIN)/python --require-hashes -r $(1) || $(PIP) --require-hashes -r $(1); }

BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help env data verify test lint docs bench smoke lock clean reproduce-text reproduce-all redraw-text redraw-all \
  reproduce-theory redraw-theory reproduce-ioffe redraw-ioffe reproduce-beyond redraw-beyond audit \
  report dashboard mirror sync workspace

help: ## list the targets
	@echo "Start with: make reproduce-fig1 (it prints a plan with the time it will take; after Ctrl-C, the same command continues)"
	@echo
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { sub(/%/, "N", $$1); printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  Variables: SCALE=laptop|desk|paper_tf32|paper|smoke (default: paper with a GPU, else laptop)  SEEDS=0,1,2  DLN_SEEDS=0-9  WORKERS=2"
	@echo "  LAUNCHER=ray|slurm trains on GPUs side by side or on a cluster (make env EXTRAS=ray,slurm,optuna installs what it needs)"
	@echo "  ARGS='--dry-run' says what would be trained, and what it costs"
	@echo "  ARGS='--add' keeps the runs that the results have and adds those of SEEDS"
	@echo "  ARGS='--paper' draws the paper's own curves behind ours; ARGS='tracker=none' sets any key of configs/train.yaml"

REPRODUCE = $(BIN)/python experiments/reproduce.py
OPTIONS = --scale $(SCALE) --seeds $(SEEDS) $(if $(DLN_SEEDS),--dln-seeds $(DLN_SEEDS)) --workers $(WORKERS) --launcher $(LAUNCHER) $(ARGS)

# What was given by hand is passed on, to be refused: a figure is redrawn from the seeds that its table has.
given = $(if $(filter-out file undefined,$(origin $(1))),$(2) $($(1)))
REDRAWN = --scale $(SCALE) --from-results $(call given,SEEDS,--seeds) $(call given,DLN_SEEDS,--dln-seeds) $(call given,WORKERS,--workers) $(call given,LAUNCHER,--launcher) $(ARGS)

reproduce-fig%: $(READY) ## train what figure N of the paper needs, draw it, judge its claims (N: 1 to 13)
	@$(REPRODUCE) $* $(OPTIONS)

reproduce-text: $(READY) ## the same for the claims that the paper makes in its text alone
	@$(REPRODUCE) text $(OPTIONS)

reproduce-all: $(READY) ## all of them, each run trained once
	@$(REPRODUCE) all $(OPTIONS)

reproduce-ioffe: $(READY) ## the figures of the paper that introduced BatchNorm (Ioffe & Szegedy 2015)
	@$(REPRODUCE) all --family ioffe2015 $(OPTIONS)

reproduce-theory: $(READY) ## the paper's theorems on networks in training: train, draw, judge
	@$(REPRODUCE) all --family theory $(OPTIONS)

reproduce-beyond: $(READY) ## beyond the papers: the MLP, every normalisation, learning rates, sharpness
	@$(REPRODUCE) all --family beyond $(OPTIONS)

audit: $(READY) ## measure and judge a norm or network of yours: make audit NORM=mypackage.MyNorm (or MODEL=)
	@$(BIN)/python experiments/audit.py $(if $(NORM),--norm $(NORM)) $(if $(MODEL),--model $(MODEL)) $(OPTIONS)

redraw-fig%: $(READY) ## redraw figure N from the table in results/, without any run
	@$(REPRODUCE) $* $(REDRAWN)

redraw-text: $(READY) ## the same for the claims of the text
	@$(REPRODUCE) text $(REDRAWN)

redraw-all: $(READY) ## redraw every figure of a scale from its tables (default: the largest; SCALE=laptop has all)
	@$(REPRODUCE) all $(REDRAWN)

redraw-ioffe: $(READY) ## redraw the figures of reproduce-ioffe from the tables in results/
	@$(REPRODUCE) all --family ioffe2015 $(REDRAWN)

redraw-theory: $(READY) ## redraw the figures of reproduce-theory from the tables in results/
	@$(REPRODUCE) all --family theory $(REDRAWN)

redraw-beyond: $(READY) ## redraw the figures of reproduce-beyond from the tables in results/
	@$(REPRODUCE) all --family beyond $(REDRAWN)

report: $(READY) ## one page for a browser of all results, report.html; of a folder of your own runs: make report RUNS=runs
	@$(BIN)/python scripts/report.py $(if $(RUNS),--runs "$(RUNS)") $(ARGS)

dashboard: $(READY) ## browse all runs in the terminal, without an account (ARGS=--group=santurkar2018-fig01: those of a figure or sweep)
	@$(BIN)/python scripts/dashboard.py $(ARGS)

mirror: $(READY) ## mirror in W&B, offline, the runs that have ended and are not mirrored yet
	@$(BIN)/python scripts/mirror_runs.py $(ARGS)

sync: $(READY) ## send to W&B what is mirrored offline (needs an account); repeat it at will
	@$(BIN)/python scripts/sync_runs.py $(ARGS)

workspace: $(READY) ## save our W&B workspace with your account: make workspace ARGS='--entity me' (make env EXTRAS=workspace)
	@$(BIN)/python scripts/save_workspace.py $(ARGS)

verify: $(READY) ## retrain a few cheap committed runs and compare them with the committed tables, digit by digit
	@$(BIN)/python scripts/verify.py $(ARGS)

test: $(READY) ## run the tests, on all cores up to four; ARGS="-n 0 tests/norms" runs some, one after the other
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

lint: $(READY) ## check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

docs: $(READY) ## build the documentation as a site; a link or a name that leads nowhere is an error
	@$(BIN)/python -m sphinx -q -E -W --keep-going -c docs -b html . docs/_build/html
	@echo "docs/_build/html/index.html"

smoke: $(READY) ## run every figure at scale=smoke: minutes, synthetic data; the verdicts mean nothing
	@$(MAKE) --no-print-directory reproduce-fig1 SCALE=smoke
	@for family in all ioffe theory beyond; do \
		$(MAKE) --no-print-directory reproduce-$$family SCALE=smoke ARGS="tracker=none $(ARGS)" || exit; done
	@$(MAKE) --no-print-directory audit NORM=examples.my_norm.MedianNorm SCALE=smoke

bench: $(READY) ## measure what the suite costs beside plain loops and naive forms; ARGS=--quick is shorter
	@$(BIN)/python scripts/benchmark.py $(ARGS)

data: $(READY) ## fetch and check CIFAR-10 and MNIST (the experiments do so by themselves)
	@$(BIN)/python scripts/fetch_data.py

env: $(READY) ## build the environment in .venv; EXTRAS=ray,slurm,optuna adds the engines of sweeps to it
	@$(foreach extra,$(subst $(COMMA), ,$(EXTRAS)),$(call install,requirements-$(extra).lock) && ) true

COMPILE = uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

lock: ## resolve requirements.lock again from pyproject.toml, and what each extra adds to it (needs uv)
	$(COMPILE) --extra dev pyproject.toml --output-file requirements.lock
	for extra in $(subst $(COMMA), ,$(KNOWN_EXTRAS)); do $(COMPILE) --extra $$extra -c requirements.lock pyproject.toml \
	  --output-file requirements-$$extra.lock || exit 1; done
	echo uv | $(COMPILE) - --output-file requirements-uv.lock

clean: ## remove the environment, the site and caches; keeps runs, results and data
	rm -rf .venv docs/_build .mypy_cache .pytest_cache .ruff_cache

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "normscape needs Python 3.11, 3.12 or 3.13, not $$($(PYTHON) -V 2>&1); try: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Building the environment in .venv (about 6 GB; one to five minutes, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) --require-hashes -r requirements-uv.lock
	@$(call install,requirements.lock)
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@
