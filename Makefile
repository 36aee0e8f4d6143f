# The two commands of the README: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-long test check lint types layers format overfit docs bench clean

help: ## Print this list.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

setup: $(READY) ## Make .venv and install the package with its development tools.

# The extras are those whose tests would be skipped without them.
# One pip call with the constraints: `torch` alone would take the newest CUDA build (gigabytes).
$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV) (about a minute, 2 GB) ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,hf,idt,map]'
	@touch $(READY)

demo: setup ## Train on synthetic motion, extract, classify, write a report (about 8 minutes on 2 cores).
	$(BIN)/tubelet demo

demo-long: setup ## The same, trained for longer (about 25 minutes, resumable).
	$(BIN)/tubelet demo --long

test: setup ## Run the tests (about 9 minutes on 2 cores).
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-fail-under=85 --cov-report=term

check: lint types layers ## Lint, types and import layers.

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

format: setup ## Let ruff format the code.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

overfit: setup ## Fit a small network of every family to 20 synthetic videos (about 5 minutes).
	$(BIN)/python -m benchmarks.overfit

docs: setup ## Write docs/models.md, the table of networks.
	$(BIN)/tubelet models --markdown > docs/models.md

bench: setup ## Measure speed and memory against plain PyTorch (about 15 minutes).
	$(BIN)/python -m benchmarks

clean: ## Remove the virtual environment and caches.
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
