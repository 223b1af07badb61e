# Every target sets up what it needs in .venv: `make demo` on a fresh machine is enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Tests that follow each other share what they set up, so a process takes them in order and the idle one helps.
WORKERS := -n logical --maxprocesses 4 --dist worksteal

# An environment that keeps no compiled files would have every run compile all tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-quick lint bench test-camera clean

demo: $(VENV)/.demo
	$(BIN)/masquerade demo $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest $(WORKERS) $(ARGS)

test-quick: $(VENV)/.test
	$(BIN)/python -m pytest $(WORKERS) -m 'not slow' $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/masquerade bench latency $(ARGS)

test-camera: $(VENV)/.test
	$(BIN)/python tests/camera/run.py $(ARGS)

# Two stamps, so that the demo does not wait for the tests' packages.
$(VENV)/.demo: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "masquerade needs Python 3.11 or newer: make demo PYTHON=python3.12"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing: sudo apt install python3-venv"; rm -rf $(VENV); exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[camera,openvino]"
	@touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[camera,openvino,export,bench,test]"
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
