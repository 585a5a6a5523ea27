# Two commands: `make lab` opens the lab with a mesh running, `make test` runs every test.
# Nothing is needed but Python 3.11 or newer; everything is installed into .venv beside this file.

VENV   := .venv
BIN    := $(VENV)/bin
OPEN   ?= 1
NAME   ?= default
PORT   ?= 8888

.PHONY: help lab test test-kind lint format bench wheel screenshots clean
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make lab            install, start the mesh, open JupyterLab (OPEN=0: print the address and serve)
lab: $(VENV)/lab.stamp
	@$(BIN)/meshlab up --name $(NAME)
	@MESHLAB_NAME=$(NAME) JUPYTER_CONFIG_PATH="$(CURDIR)/notebooks/.jupyter" $(BIN)/jupyter lab notebooks/ \
	  --ServerApp.port=$(PORT) --ServerApp.ip=127.0.0.1 $(if $(filter 0,$(OPEN)),--no-browser)

## make test           install and run every test (TESTS=path narrows, ARGS='-k name' passes options)
TESTS ?= tests
test: $(VENV)/dev.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup $(TESTS) $(ARGS)

## make test-kind      run the end-to-end tests on a real kind cluster, made for them and removed (as root where
##                     Docker or kind are missing: then they are built; 10 minutes the first time)
test-kind: $(VENV)/dev.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" tests/kind/run $(ARGS)

## make lint           ruff, mypy, import contracts
lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

## make format         let ruff arrange the code
format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## make bench          run the benchmarks: counts and ratios, asserted nowhere
bench: $(VENV)/dev.stamp
	@for file in benchmarks/*.py; do echo "== $$file"; PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python $$file || exit 1; done

## make wheel          build the wheel into dist/
wheel: $(VENV)/dev.stamp
	$(BIN)/pip wheel --no-deps --wheel-dir dist .

## make screenshots    take the pictures under docs/screenshots anew
screenshots: $(VENV)/dev.stamp
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest tests/browser -k screenshots --screenshots docs/screenshots

## make clean          remove .venv and what was built
clean:
	rm -rf $(VENV) dist build

$(VENV)/bin/python:
	@python=$$(for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	  command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' && echo $$name && break; done); \
	[ -n "$$python" ] || { echo "meshlab needs Python 3.11 or newer; none was found on the PATH." >&2; exit 1; }; \
	$$python -m venv $(VENV) || { rm -rf $(VENV); echo "Python can't make virtual environments here: on Debian and Ubuntu install python3-venv." >&2; exit 1; }

$(VENV)/lab.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing meshlab into $(VENV) (a minute or two the first time) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable "$$(command -v kubectl >/dev/null && echo . || echo '.[kubectl]')"
	@touch $@

$(VENV)/dev.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing meshlab and its tests' tools into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable "$$(command -v kubectl >/dev/null && echo '.[dev]' || echo '.[dev,kubectl]')"
	@command -v chromium google-chrome chromium-browser >/dev/null || $(BIN)/playwright install chromium >/dev/null 2>&1 || \
	  echo "No Chromium here and none can be fetched: the browser tests will be skipped by name."
	@touch $@ $(VENV)/lab.stamp
