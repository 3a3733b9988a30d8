# What a person runs and what CI runs are the same commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo lab test test-fast test-cluster images check format bench bench-ray bench-cluster clean

VENV := .venv
BIN := $(VENV)/bin
# A name in FAAS_*, PYTHON* or JUPYTER* of the person's shell must not change what the tests see.
CLEAN_ENV := env -u PYTHONPATH -u FAAS_GATEWAY_URL -u FAAS_GATEWAY_TOKEN
PYTEST_FLAGS ?=

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment follows pyproject.toml: an edit there and the next target installs it.
$(VENV)/.ready: pyproject.toml tools/uv
	@test -x $(BIN)/python || tools/uv venv --quiet --python '>=3.11' $(VENV)
	@tools/uv pip install --quiet --python $(BIN)/python --editable '.[kubernetes]' --group dev
	@touch $@

$(VENV)/.lab: $(VENV)/.ready
	@tools/uv pip install --quiet --python $(BIN)/python --editable '.[lab]'
	@touch $@

demo: $(VENV)/.ready ## run the quickstart and tell what happened, with times (under 3 minutes)
	@$(CLEAN_ENV) $(BIN)/python examples/demo.py

lab: $(VENV)/.lab ## open the quickstart in JupyterLab
	@$(BIN)/jupyter lab examples/01-quickstart.ipynb

check: $(VENV)/.ready ## format, lint, types, layers, repository hygiene
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(CLEAN_ENV) $(BIN)/pytest -q tests/repository

format: $(VENV)/.ready ## rewrite files the way `make check` wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(VENV)/.ready ## all tests with branch coverage (under 8 minutes)
	$(CLEAN_ENV) $(BIN)/pytest --ignore tests/cluster --cov --cov-report=term:skip-covered $(PYTEST_FLAGS)

test-fast: $(VENV)/.ready ## tests without processes, network and notebooks
	$(CLEAN_ENV) $(BIN)/pytest -q --ignore tests/e2e --ignore tests/examples --ignore tests/cluster $(PYTEST_FLAGS)

images: ## build the images of runner and gateway (cluster tool, docker or podman)
	@tools/images

# KUBECONFIG as it is: any cluster that has the images. Without one, the machine's own is brought up.
test-cluster: $(VENV)/.ready ## tests on a real Kubernetes: that of KUBECONFIG, or one made here
	@tools/test-cluster $(BIN)/pytest tests/cluster -m cluster --timeout=300 $(PYTEST_FLAGS)

bench: $(VENV)/.ready ## measure everything in the README's table (under 10 minutes)
	@$(CLEAN_ENV) $(BIN)/python -m bench

bench-ray: $(VENV)/.ready ## the same HTTP call on Ray Serve, side by side (installs Ray into .venv-ray)
	@test -x .venv-ray/bin/python || tools/uv venv --quiet --python '>=3.11' .venv-ray
	@tools/uv pip install --quiet --python .venv-ray/bin/python 'ray[serve]>=2.50'
	@$(CLEAN_ENV) $(BIN)/python -m bench ray_serve

bench-cluster: $(VENV)/.ready ## functions on Kubernetes: from zero, herds, redeploys (installs for the time)
	@IMAGES=$${IMAGES:-yes} tools/test-cluster tools/bench-cluster $(BIN)

clean: ## remove environments and caches (not the gateway's state)
	rm -rf $(VENV) .venv-ray .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
