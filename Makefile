# The commands of this project. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
# Set by some environments; without .pyc files every Airflow process compiles everything again.
unexport PYTHONDONTWRITEBYTECODE

# Two processes for two cores; what measures waits and who waits for whom comes after them, alone.
WORKERS ?= 2
define run_tests
	status=0; \
	$(PY) -m pytest -n $(WORKERS) --no-loadscope-reorder -m "not alone" $(1) || status=$$?; \
	$(PY) -m pytest -m alone $(1) || status=$$?; \
	exit $$status
endef

# The same tests on servers of other versions (docs/versions.md): of what is marked `versions` on the oldest and the
# newest, or of all. Each is fetched the first time; what the machine has of its own is not touched. Backups of Redis need
# its redis-check-rdb, which most of these come without. (Status 5: nothing of an engine is measured alone.)
SHORT := postgres=14 postgres=18 redis=6.2 redis=7.4 redis=valkey-8.1
LONG := postgres=14 postgres=16 postgres=17 postgres=18 mongo=5.0 mongo=6.0.27 redis=6.2 redis=7.4 redis=valkey-8.1
define on_versions
	status=0; \
	for pair in $(1); do \
		IFS== read -r engine version <<< "$$pair"; echo "== $$engine $$version"; \
		env "UPKEEP_$${engine^^}_VERSION=$$version" $(PY) -m pytest -n $(WORKERS) --no-loadscope-reorder -q $(2) \
			-k "not test_contract or $$engine" \
			"tests/integration/$$engine" tests/integration/contract || [ $$? = 5 ] || status=1; \
	done; \
	exit $$status
endef

.PHONY: help setup run down status test test-all test-versions test-packages test-fast package lint format bench lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## build .venv with every pinned requirement and Upkeep itself
	@local/setup.sh

run: setup ## start the real servers and Airflow, load the sample fleet, run the nightly jobs, show what happened
	@$(PY) -m local up
	@$(PY) -m local demo

down: setup ## stop everything that `make run` started
	@$(PY) -m local down

status: setup ## what runs, and where
	@$(PY) -m local status

test: lint ## everything: lint, then unit, integration, Airflow and browser tests on real servers (about an hour)
	@$(call run_tests)
	@$(call on_versions,$(SHORT),-m versions)

test-versions: lint ## every integration test of an engine on each version of its server that is tested (hours)
	@$(call on_versions,$(LONG),-m "not alone")
	@$(call on_versions,$(LONG),-m alone)

test-all: lint ## the same, killing each case at every statement, and failing when a file takes longer than it may (hours)
	@$(call run_tests,--every-statement --budgets=fail)

test-fast: setup ## unit tests only: seconds, no server
	@$(PY) -m pytest tests/unit -m "not slow"

test-packages: setup ## what touches other people's code most, with the oldest packages that are allowed and the newest there are (20 minutes)
	@local/test_packages.sh

package: setup ## build sdist and wheel into dist/, and try them where no checkout is
	@rm -rf dist
	@.venv/bin/uv build --quiet --out-dir dist .
	@UPKEEP_DIST=dist $(PY) -m pytest -q tests/integration/local/test_package.py
	@ls dist/upkeep-*

lint: setup ## ruff, mypy, sqlfluff, import-linter
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy plugins
	@.venv/bin/sqlfluff lint --nocolor --disable-progress-bar include/sql
	@.venv/bin/lint-imports --no-logo

format: setup ## let ruff and sqlfluff mend what they can
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .
	@.venv/bin/sqlfluff fix --nocolor include/sql

bench: setup ## the benchmarks: ratios side by side in one run
	@$(PY) -m benchmarks

lock: setup ## compile requirements*.in into the pinned requirements*.txt
	@.venv/bin/uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 pyproject.toml requirements.in --extra all -o requirements.txt
	@.venv/bin/uv pip compile --quiet --no-header --no-annotate --universal --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean: ## stop the stack; remove .venv and this checkout's state (downloaded servers stay in the cache)
	@if [ -x $(PY) ]; then $(PY) -m local down --remove; fi
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
