# synergyc: `make demo` builds and runs the example, `make test` runs the whole test suite.
# Both set up everything they need first: a virtual environment and the cross-compiler.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILD  ?= build/digits
RUNS   ?= 100

.PHONY: help demo test lint format schemas clean

help:            ## show the targets
	@sed -n 's/^\([a-z-]*\): *[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# The stamps depend on what decides the contents of the environment, so that a change reinstalls.
$(VENV)/.base: pyproject.toml constraints.txt scripts/setup.sh hatch_build.py
	PYTHON=$(PYTHON) scripts/setup.sh $(VENV) base

$(VENV)/.dev: pyproject.toml constraints.txt scripts/setup.sh hatch_build.py
	PYTHON=$(PYTHON) scripts/setup.sh $(VENV) dev

demo: $(VENV)/.base  ## build examples/digits.yaml and run it on two emulated devices
	$(BIN)/synergyc build examples/digits.yaml -o $(BUILD)
	$(BIN)/synergyc run $(BUILD) --runs $(RUNS)

test: $(VENV)/.dev  ## run the whole test suite with the linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(VENV)/.dev  ## only the linters and the type checker
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev  ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

schemas: $(VENV)/.dev  ## write the published JSON Schemas again
	$(BIN)/python scripts/schemas.py

clean:           ## remove builds, keep the environment
	rm -rf build dist
