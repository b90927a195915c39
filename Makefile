VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STORE ?= store

.PHONY: help setup demo test check format bench proto golden serve weights

help: ## what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | column -ts '	'

setup: $(VENV)/.ready ## a virtual environment with everything but torch

$(VENV)/.ready: pyproject.toml
	@echo 'packages are installed into $(VENV), once: a minute or two'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[report,dev]'
	$(BIN)/python -m features.warm
	touch $@

demo: setup ## train, serve and rank the standard library's documentation
	$(BIN)/sluice demo

test: setup ## all tests (about two minutes on two cores)
	$(BIN)/pytest -n 2 --dist loadfile

check: setup ## lint, types and import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.:proto $(BIN)/lint-imports

format: setup ## put the code in order
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup ## the short benchmarks, as tables
	$(BIN)/python -m benchmarks short

proto: setup ## regenerate the wire code
	$(BIN)/python -m grpc_tools.protoc -Iproto --python_out=proto --pyi_out=proto --grpc_python_out=proto proto/sluice/v1/*.proto

golden: setup ## regenerate golden files; read the diff
	$(BIN)/pytest -q tests/golden --update-golden

serve: setup ## serve $(STORE) on port 50051
	$(BIN)/sluice serve --store $(STORE)

weights: setup ## rebuild the shipped weights: make weights PAIRS=folder MOVIES=folder START=checkpoint
	$(BIN)/python -m pip install --quiet --editable '.[train]'
	$(BIN)/python -m training.embedded --pairs $(PAIRS) --movies $(MOVIES) --start $(START)
