# Everything is installed into .venv of this checkout, whatever environment is active.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

.PHONY: setup demo real real-all test check clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml hatch_build.py $(wildcard pipeline/documents/blocks/*.[ch])
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "webtext needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -P tools/install.py --editable '.[train,test,check]'
	@touch $@

demo: setup  ## the whole flow on a small web of our own, offline: build/demo
	$(BIN)/webtext demo --out build/demo

real: setup  ## the same flow on real dumps and captures: build/real
	$(BIN)/webtext build recipes/real.toml --out build/real

real-all: setup  ## the same with karma of 0 and above: build/real-all
	$(BIN)/webtext build recipes/real-all.toml --out build/real-all

test: setup  ## fast tests, one process a core; SLOW=1 runs the slow ones too
	$(BIN)/python -m pytest -n auto --dist loadgroup $(if $(SLOW),,-m "not slow")

check: setup  ## linters and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:  ## removes the environment and all builds
	rm -rf $(VENV) $(VENV)-newest build
