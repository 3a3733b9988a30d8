# What a person runs and what CI runs are the same commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help screenshots demo lab lab-build lab-check lab-test test test-fast test-cluster test-ray test-ui images check format bench bench-ray bench-cluster clean

VENV := .venv
BIN := $(VENV)/bin
RAY_VENV := .venv-ray
# A name in FAAS_*, PYTHON* or JUPYTER* of the person's shell must not change what the tests see.
CLEAN_ENV := env -u PYTHONPATH -u FAAS_GATEWAY_URL -u FAAS_GATEWAY_TOKEN
PYTEST_FLAGS ?=

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The environment follows pyproject.toml: an edit there and the next target installs it.
$(VENV)/.ready: pyproject.toml tools/uv
	@test -x $(BIN)/python || tools/uv venv --quiet --python '>=3.11' $(VENV)
	@tools/uv pip install --quiet --python $(BIN)/python --editable '.[kubernetes,objects]' --group dev
	@touch $@

$(VENV)/.lab: $(VENV)/.ready
	@tools/uv pip install --quiet --python $(BIN)/python --editable '.[lab]'
	@touch $@

# The lab extension follows its sources: nothing is built if none has changed since.
LAB := labextension
LAB_SOURCES := $(shell find $(LAB) \( -name node_modules -o -name lib -o -name .tests \) -prune -o -type f ! -name .built -print)
LAB_LINK := $(VENV)/share/jupyter/labextensions/jupyter-faas

$(LAB)/node_modules/.ready: $(LAB)/package.json $(LAB)/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 and npm are needed for labextension/: install them (apt-get install nodejs npm)." >&2; exit 1; }
	@cd $(LAB) && npm ci --silent
	@touch $@

$(LAB)/.built: $(LAB)/node_modules/.ready $(LAB_SOURCES)
	@cd $(LAB) && npm run --silent build
	@touch $@

# Linked, so that a page that is loaded anew has what was built last.
$(LAB_LINK): | $(VENV)/.ready
	@mkdir -p $(dir $@) && ln -sfn $(CURDIR)/jupyter_faas/_labextension $@

lab-build: $(LAB)/.built $(LAB_LINK) ## build the lab extension and the widget (needs Node.js 20)

lab-check: $(LAB)/node_modules/.ready
	cd $(LAB) && npm run --silent check

lab-test: $(LAB)/node_modules/.ready
	cd $(LAB) && npm test --silent

demo: $(VENV)/.ready ## run the quickstart and tell what happened, with times (under 3 minutes)
	@$(CLEAN_ENV) $(BIN)/python examples/demo.py

lab: $(VENV)/.lab lab-build ## open the quickstart in JupyterLab
	@$(BIN)/jupyter lab examples/01-quickstart.ipynb

check: $(VENV)/.ready lab-check ## format, lint, types (Python and TypeScript), layers, repository hygiene
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(CLEAN_ENV) $(BIN)/pytest -q tests/repository

format: $(VENV)/.ready $(LAB)/node_modules/.ready ## rewrite files the way `make check` wants them
	cd $(LAB) && npm run --silent format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: $(VENV)/.ready lab-test lab-build ## everything without Ray and cluster, with branch coverage (15 minutes)
	$(CLEAN_ENV) $(BIN)/pytest --ignore tests/cluster --ignore tests/ray --cov --cov-report=term:skip-covered $(PYTEST_FLAGS)

test-ui: $(VENV)/.ready lab-build ## the part of `make test` with a real Chromium (apt-get install chromium)
	$(CLEAN_ENV) $(BIN)/pytest tests/ui $(PYTEST_FLAGS)

screenshots: $(VENV)/.lab lab-build ## take the pictures of docs/notebook.md anew (apt-get install chromium)
	@$(CLEAN_ENV) $(BIN)/python -m tools.pictures

test-fast: $(VENV)/.ready lab-test ## tests without processes, network and notebooks
	$(CLEAN_ENV) $(BIN)/pytest -q --ignore tests/e2e --ignore tests/examples --ignore tests/cluster --ignore tests/ray -m 'not e2e and not ui' $(PYTEST_FLAGS)

images: ## build the images of runner and gateway (cluster tool, docker or podman)
	@tools/images

# KUBECONFIG as it is: any cluster that has the images. Without one, the machine's own is brought up.
test-cluster: $(VENV)/.ready ## tests on a real Kubernetes: that of KUBECONFIG, or one made here
	@tools/test-cluster $(BIN)/pytest tests/cluster -m cluster --timeout=300 $(PYTEST_FLAGS)

bench: $(VENV)/.ready ## measure everything in the README's table (under 10 minutes)
	@$(CLEAN_ENV) $(BIN)/python -m bench

$(RAY_VENV)/.ready: pyproject.toml tools/uv
	@test -x $(RAY_VENV)/bin/python || tools/uv venv --quiet --python '>=3.11' $(RAY_VENV)
	@tools/uv pip install --quiet --python $(RAY_VENV)/bin/python --editable '.[ray]' --group test
	@touch $@

test-ray: $(RAY_VENV)/.ready ## maps on a real Ray (installs it into .venv-ray)
	$(CLEAN_ENV) $(RAY_VENV)/bin/pytest tests/ray -m ray $(PYTEST_FLAGS)

bench-ray: $(VENV)/.ready $(RAY_VENV)/.ready ## maps on Ray, and others doing the same, side by side (installs them)
	@test -x .venv-peers/bin/python || tools/uv venv --quiet --python '>=3.11' .venv-peers
	@tools/uv pip install --quiet --python .venv-peers/bin/python 'ray[serve]>=2.50' joblib lithops
	@$(CLEAN_ENV) $(RAY_VENV)/bin/python -m bench fan_out
	@$(CLEAN_ENV) $(BIN)/python -m bench ray_serve

bench-cluster: $(VENV)/.ready ## functions on Kubernetes: from zero, herds, redeploys (installs for the time)
	@IMAGES=$${IMAGES:-yes} tools/test-cluster tools/bench-cluster $(BIN)

clean: ## remove environments and caches (not the gateway's state)
	rm -rf $(VENV) $(LAB)/node_modules $(LAB)/lib $(LAB)/.tests $(LAB)/.built jupyter_faas/_labextension jupyter_faas/notebook/static
	rm -rf .venv-ray .venv-peers .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.*
