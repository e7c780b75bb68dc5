# The same few commands for people and for CI; `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/sh

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAGE := @scripts/stage
NPM := scripts/npm --prefix web --no-audit --no-fund --loglevel=error
PAGE := src/rixin/http/static/index.html
# Folders too: they change when a file goes.
PAGE_SOURCES := $(shell find web/src web/public) $(filter-out web/biome.json web/openapi.json,$(wildcard web/*.json web/*.ts web/*.html))
# A .venv that was moved, or whose Python is gone, is made anew.
STALE_VENV := $(shell $(BIN)/python -c '' 2>/dev/null && [ "$$(cat .venv/.place)" = "$$(pwd)" ] || echo yes)

.PHONY: help up web test check check-python check-locks check-page test-page test-python system bench train judge ocr lock clean

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

up: .venv/.core $(PAGE) ## Start Rixin; installs what is missing (RIXIN_HOME, RIXIN_PORT, RIXIN_MODEL)
	@exec $(BIN)/python -m rixin up

web: $(PAGE) ## Build the page into src/rixin/http/static/

test: check test-page test-python ## Check and test everything; installs what that needs (PYTEST="-k name")

check: check-python check-locks check-page ## Style, types, imports, dependencies, locks, the page's code

bench: .venv/.dev system ## Run one benchmark: make bench NAME=serving ARGS="…"
	@[ -n "$(NAME)" ] || { echo "make bench NAME=…, one of: $$(grep -l __main__ benchmarks/*.py | xargs -n1 basename -s .py | xargs)"; exit 2; }
	@$(BIN)/python benchmarks/$(NAME).py $(ARGS)

train: .venv/.train ## Install what training needs: torch (set PIP_INDEX_URL for another build of it)

ocr: .venv/.ocr ## Install what reading scanned pages and images of text needs: rapidocr

judge: .venv/.judge ## Install what evaluation needs: lm-eval, scipy

lock: .venv/.core ## Make requirements/*.txt from pyproject.toml anew (ARGS=--upgrade for newer ones)
	@$(BIN)/python -m venv .cache/lock
	@.cache/lock/bin/python -m pip install --quiet --disable-pip-version-check pip==$$($(BIN)/python -c 'import pip; print(pip.__version__)')
	@.cache/lock/bin/python -m pip install --quiet --group lock
	@.cache/lock/bin/python scripts/locks.py $(ARGS)

clean: ## Delete all that was installed, built or fetched here; not RIXIN_HOME
	rm -rf .venv .cache build dist web/node_modules src/rixin/http/static
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests benchmarks scripts -name __pycache__ -prune -exec rm -rf {} +

check-python: .venv/.dev
	$(STAGE) "ruff" $(BIN)/ruff check --quiet --output-format concise .
	$(STAGE) "ruff format" $(BIN)/ruff format --quiet --check .
	$(STAGE) "mypy" $(BIN)/mypy --no-error-summary
	$(STAGE) "import-linter" $(BIN)/lint-imports --no-logo
	$(STAGE) "deptry" $(BIN)/deptry --no-ansi src

check-locks: .venv/.dev
	$(STAGE) "locks" $(BIN)/python scripts/locks.py --check
	$(STAGE) "pip check" $(PIP) check

check-page: web/node_modules/.ready .venv/.dev
	$(STAGE) "page: types, style, API types" $(NPM) run --silent check

test-page: web/node_modules/.ready
	$(STAGE) "page: vitest" $(NPM) run --silent test

# What RIXIN_* says is for people, not for tests. The checks come first.
test-python: check test-page .venv/.dev $(PAGE) system
	$(STAGE) "pytest" env -u RIXIN_HOME -u RIXIN_PORT -u RIXIN_MODEL $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST)

system: .venv/.core
	$(STAGE) "system packages" scripts/install-system-packages

ifeq ($(STALE_VENV),yes)
.PHONY: .venv/.place
endif
.venv/.place:
	@scripts/make-venv

.venv/.core: .venv/.place requirements/core.txt requirements/build.txt pyproject.toml
	@echo "Installing Rixin's libraries into .venv (the first time about 200 MB to fetch)…"
	@$(PIP) install --quiet --require-hashes -r requirements/core.txt -r requirements/build.txt
	@$(PIP) install --quiet --no-index --no-deps --no-build-isolation -e .
	@touch $@

# torch itself first, by version: scripts/locks.py says why it has no hash.
.venv/.train: .venv/.core requirements/train.txt
	@echo "Installing torch and what training needs (about 200 MB to fetch for a CPU build)…"
	@$(PIP) install --quiet "$$(sed -n 's/^ *"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)"
	@$(PIP) install --quiet --require-hashes -r requirements/train.txt
	@touch $@

.venv/.judge: .venv/.core requirements/eval.txt
	@$(PIP) install --quiet --require-hashes -r requirements/eval.txt
	@touch $@

.venv/.ocr: .venv/.core requirements/ocr.txt
	@$(PIP) install --quiet --require-hashes -r requirements/ocr.txt
	@touch $@

.venv/.dev: .venv/.train requirements/dev.txt
	$(STAGE) "development libraries" $(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

web/node_modules/.ready: web/package.json web/package-lock.json | .venv/.core
	$(STAGE) "the page's libraries" $(NPM) ci --ignore-scripts --prefer-offline
	@touch $@

$(PAGE): web/node_modules/.ready $(PAGE_SOURCES)
	$(STAGE) "the page" $(NPM) run --silent build -- --logLevel warn
	@touch $@
