# synergyc: `make demo` builds and runs the example, `make test` runs the whole test suite.
# Both set up everything they need first: a virtual environment and the cross-compiler.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
BUILD  ?= build/digits
RUNS   ?= 100

DEVICE ?= wrist
RUNNER ?= openocd
PORT   ?= /dev/ttyACM0

.PHONY: help demo test lint format schemas flash flash-all monitor clean

help:            ## show the targets
	@sed -n 's/^\([a-z-]*\): *[^#]*## */\1\t/p' $(MAKEFILE_LIST) | expand -t 14

# The stamps depend on what decides the contents of the environment, so that a change reinstalls.
$(VENV)/.base: pyproject.toml constraints.txt scripts/setup.sh hatch_build.py
	PYTHON="$(PYTHON)" scripts/setup.sh $(VENV) base

$(VENV)/.dev: pyproject.toml constraints.txt scripts/setup.sh hatch_build.py
	PYTHON="$(PYTHON)" scripts/setup.sh $(VENV) dev

demo: $(VENV)/.base  ## build examples/digits.yaml and run it on two emulated devices
	$(BIN)/synergyc build examples/digits.yaml -o "$(BUILD)"
	$(BIN)/synergyc run "$(BUILD)" --runs $(RUNS)

flash: $(VENV)/.base  ## write the image of DEVICE in BUILD to the board that is connected
	$(BIN)/synergyc flash "$(BUILD)" --device "$(DEVICE)" --runner $(RUNNER)

flash-all: $(VENV)/.base  ## write all images of BUILD, asking for one board after the other
	$(BIN)/synergyc flash "$(BUILD)" --runner $(RUNNER)

monitor: $(VENV)/.base  ## show the console of the board at PORT
	$(BIN)/python -m serial.tools.miniterm "$(PORT)" 921600

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
