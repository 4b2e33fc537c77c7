# Tandem: `make run` starts it, `make help` lists the rest.
# Only Python >= 3.12, make and git are needed beforehand; PY= names an interpreter.

.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

HOST ?= 127.0.0.1
PORT ?= 8000
PY ?=
ARGS ?=
BENCH ?= inbound
export PY HOST PORT
# Without bytecode every worker, and every server that a test starts, compiles what another one has compiled before.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
PYTEST := $(BIN)/python -m pytest
CODE := config agents_app messaging_app sessions_app
# logical: psutil counts a core with two threads as one, and the suite waits for its database as much as it computes.
PARALLEL ?= -n logical --dist worksteal

.PHONY: help
help: ## this list
	@echo 'Tandem: conversations that robots and people serve together.'
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 22
	@echo
	@echo 'HOST=, PORT= for run; PY= for the interpreter; ARGS= is handed on, to pytest for example (ARGS="-k transfer -x").'

# --- Environments ---

# env-run is what `make run` needs; env-s3 adds what keeps attachments in S3, env-dev the tools, env-bench the baselines.

.PHONY: env-run env-s3 env-dev env-bench env-installer
env-run env-s3 env-dev env-bench env-installer:
	@bin/bootstrap $(@:env-%=%)

.PHONY: setup
setup: env-dev ## make .venv with everything for working on Tandem
	@$(BIN)/python -c 'import sys, django; print("Ready: Python", sys.version.split()[0], "and Django", django.__version__)'

# --- Running ---

.PHONY: run
run: migrate ## start Tandem with sample data on http://HOST:PORT
	@$(MANAGE) loadsample
	@exec $(MANAGE) serve --host "$(HOST)" --port "$(PORT)"

.PHONY: migrate
migrate: env-run ## bring the database up to date
	@$(MANAGE) migrate --noinput --verbosity 0

# --- Checking ---

.PHONY: test test-js
test: test-js ## the quick tests, on SQLite: all but what races, a service or a browser decides (docs/testing.md)
	$(PYTEST) $(PARALLEL) $(ARGS)

test-js: env-dev
	bin/node --test --test-force-exit --test-timeout=60000 "tests/js/*.test.js"

.PHONY: check check-style check-js check-types check-imports check-django check-security check-advisories
check: check-types check-style check-js check-imports check-django check-security check-advisories ## style, scripts, types, imports, settings, migrations, security

check-style: env-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-js: env-dev
	$(BIN)/oxlint static/js tests/js

check-types: env-dev
	$(BIN)/mypy

check-imports: env-dev
	$(BIN)/lint-imports --no-logo

# Once as it stands, once as in production.
check-django: env-dev
	$(MANAGE) check --fail-level WARNING
	$(MANAGE) makemigrations --check --dry-run
	DEBUG=false HTTPS=true TRY_IT=false ALLOWED_HOSTS=tandem.example PUBLIC_URL=https://tandem.example \
		SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
		$(MANAGE) check --deploy --fail-level WARNING

check-security: env-dev
	$(BIN)/bandit --quiet --configfile pyproject.toml --severity-level medium --recursive $(CODE)
	$(BIN)/python bin/check-vendor

# Offline it says that nothing was checked, and ends well: what a registry knows is no fault of the code.
check-advisories: env-dev
	@$(BIN)/python bin/check-advisories

.PHONY: coverage
coverage: env-dev ## how many lines of each app the quick tests run, held to a floor
	@mkdir -p test-results
	COVERAGE_CORE=sysmon $(PYTEST) $(PARALLEL) --cov --cov-report=json:test-results/coverage.json $(ARGS)
	$(BIN)/python bin/check-coverage test-results/coverage.json

.PHONY: costs
costs: env-dev ## count again what the hot calls cost on each database, and write it to tests/costs.toml
	WRITE_COSTS=true $(PYTEST) tests/test_costs.py tests/api/test_costs_of_addresses.py -n 0 -k figure
	WRITE_COSTS=true bin/marked services tests/test_costs.py -k figure

.PHONY: format
format: env-dev ## put the code into the common form
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: services races browser slow
services: env-dev ## what PostgreSQL, MariaDB and Redis decide
	@bin/marked $@ $(ARGS)

races: env-dev ## real threads and commits, on PostgreSQL and MariaDB, with mutants; ON=mariadb for one of them
	@bin/marked $@ $(ARGS)

browser: env-dev ## the core day's pages in a real Chromium
	@bin/marked $@ $(ARGS)

slow: env-dev ## all that the others leave out: load, faults, large files, the whole of the rules on each database
	@bin/marked $@ $(ARGS)

.PHONY: pictures
pictures: env-dev ## make the screenshots of docs/images again
	@PICTURES=docs/images bin/marked browser tests/browser/test_pages.py -k "three_widths"

.PHONY: bench
bench: env-bench ## measure beside a baseline; BENCH=ingest ARGS=FILE for another one of benchmarks/
	$(BIN)/python benchmarks/$(BENCH).py $(ARGS)

# --- Keeping ---

.PHONY: docs
docs: env-dev ## make the generated pages of docs/ again
	$(MANAGE) states_doc
	$(MANAGE) clocks_doc
	$(MANAGE) rules_doc
	$(MANAGE) api_doc
	$(MANAGE) asyncapi_doc

LANGUAGES := es ja th vi zh_Hans zh_Hant

.PHONY: messages
messages: env-dev ## put new texts into the catalogues of locale/, and compile them; needs GNU gettext
	$(MANAGE) makemessages $(LANGUAGES:%=--locale=%) --no-location --no-wrap --ignore=tests --ignore=examples --verbosity 0
	$(MANAGE) compilemessages $(LANGUAGES:%=--locale=%) --verbosity 0

.PHONY: lock
lock: env-installer ## resolve requirements*.in again; ARGS=--upgrade for the newest
	@bin/lock $(ARGS)

.PHONY: release-notes release-check
release-notes: env-dev ## print what CHANGELOG.md says of VERSION=, by default the one in pyproject.toml
	@$(BIN)/python bin/release-notes $(VERSION)

release-check: env-dev ## what keeps VERSION= from being released (docs/releasing.md)
	@$(BIN)/python bin/release-notes --check $(VERSION)

.PHONY: clean
clean: ## remove environments and caches; data/ stays
	rm -rf .venv .venv-uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov test-results
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
