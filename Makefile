# One virtual environment, made once; everything else runs inside it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
ARGS ?=

.PHONY: up test test-long check format lock bench clean

up: $(STAMP)  ## all of Tradewright on this machine
	$(RUN)/tradewright up $(ARGS)

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install it, or call make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V)"; exit 1; }
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m virtualenv -q $(VENV) 2>/dev/null; } || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make virtual environments: install the package python3-venv (Debian, Ubuntu) and run make again"; exit 1; }
	@touch $@

$(STAMP): $(VENV)/.made requirements.lock pyproject.toml
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): $(STAMP) requirements-dev.lock
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

test: $(DEV)  ## the whole test suite, under 20 minutes on two cores
	$(RUN)/python -m pytest -n 3 --dist worksteal -m "not long" $(ARGS)

test-long: $(DEV)  ## what takes longer: kill tests in full, a hundred worlds
	$(RUN)/python -m pytest -m long $(ARGS)

check: $(DEV)  ## format, lint, strict types, import floors
	$(RUN)/ruff format --check src tests benchmarks
	$(RUN)/ruff check src tests benchmarks
	$(RUN)/mypy
	$(RUN)/lint-imports

format: $(DEV)
	$(RUN)/ruff format src tests benchmarks
	$(RUN)/ruff check --fix src tests benchmarks

bench: $(DEV)  ## side by side with the peers, each in an environment of its own
	$(RUN)/python -m benchmarks $(ARGS)

lock: $(DEV)  ## resolve the dependencies anew, without addresses
	$(RUN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --quiet --no-emit-index-url --extra build -o requirements.lock
	$(RUN)/uv pip compile pyproject.toml --universal --generate-hashes --no-header --no-annotate --quiet --no-emit-index-url --extra build --extra dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
