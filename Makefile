# molehunt from a fresh clone: a Python 3.11 or newer, git and make are all it takes.
# `make PYTHON=/path/to/python hunt` picks an interpreter.

VENV := .venv
OLDEST := .venv-oldest
PY := $(VENV)/bin/python

# The stamps name this directory: a copied .venv would go on running the code it was copied from.
HERE := $(shell pwd | cksum | cut -d ' ' -f 1)
INSTALLED := $(VENV)/installed-$(HERE)
DEVELOP := $(VENV)/develop-$(HERE)
OLD := $(OLDEST)/develop-$(HERE)

# Installed anew when they change: the installation builds them, if there is a C compiler.
NATIVE := hatch_build.py $(wildcard detectors/native/*.[ch])

# hyperscan only as a wheel: building it takes a compiler, boost and a quarter of an hour.
INSTALL := -m pip install --quiet --disable-pip-version-check --only-binary hyperscan

# splunk-appinspect pins what it needs, and so has an environment of its own.
INSPECT := .venv-appinspect
INSPECTOR := $(INSPECT)/installed-$(HERE)

# pyproject.toml says why.
STORES := $(INSTALL) --no-deps --ignore-requires-python --group stores

# All processors; a process that is done takes tests from another.
PARALLEL := --numprocesses auto --dist worksteal

# The schedules of the recordings that another pack than ours made.
CONFIGS := --config tests/recordings/linux-lab-state/osquery.conf \
	--config tests/recordings/linux-lab-audit/osquery-audit.conf

# A search server takes 1.5 GB beside each pair of them.
JOBS := --jobs 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help hunt test develop lint typing types oldest test-oldest smoke appinspect differential lock pack rules coverage tools mutation picture prove stores support site lint-docs rows clean

help:
	@echo 'make hunt          set up and hunt through the recordings in tests/recordings'
	@echo 'make test          lint, types, tests and packaging tests'
	@echo 'make test-oldest   the tests with the oldest dependencies that are supported'
	@echo 'make smoke         install and start with each other supported Python found here, and beside sigma-cli'
	@echo 'make appinspect    inspect the compiled Splunk app with splunk-appinspect'
	@echo 'make differential  compare the engines on a million generated pairs (long)'
	@echo 'make lock          bring the rule lock file up to date'
	@echo 'make pack          bring the osquery pack that feeds the rules up to date'
	@echo 'make rules         bring the rules that the catalogue makes up to date'
	@echo 'make lint-docs     bring the checks in docs/lint.md up to date'
	@echo 'make coverage      bring docs/coverage.md up to date'
	@echo 'make mutation      measure the recordings and bring docs/mutation.md up to date'
	@echo 'make prove         run compiled queries on every engine that can be had'
	@echo 'make stores        get ClickHouse, Spark and VictoriaLogs for it into the cache (1.1 GB)'
	@echo 'make support       prove, and bring the support lock and docs/support.md up to date'
	@echo 'make rows          count the rows that the osquery packs log on the benign recordings'
	@echo 'make picture       draw the picture of the README again'
	@echo 'make site          build the documentation site into site/'
	@echo 'make clean         remove what these made'

hunt: $(INSTALLED)
	$(VENV)/bin/molehunt hunt tests/recordings $(CONFIGS) --top 20 --output hunt.json

test: lint types
	$(VENV)/bin/molehunt lint rules --recordings tests/recordings --level warning
	$(VENV)/bin/molehunt lock
	$(PY) -m pytest $(PARALLEL) -m 'not packaging'
	$(PY) -m pytest tests/test_packaging.py
	$(VENV)/bin/molehunt prove $(JOBS)

develop: $(DEVELOP)

lint: $(DEVELOP)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) docs/picture.py --check
	$(PY) docs/support.py --check
	$(PY) docs/lint.py --check
	$(PY) docs/tools.py --check

types: $(DEVELOP) typing
	$(PY) -m mypy

# Static tools do not follow the package's __path__, so they get the tree that a wheel would have.
typing:
	@rm -rf .typing && mkdir -p .typing/molehunt
	@cd .typing/molehunt && ln -s ../../src/molehunt/* ../../detectors ../../backends .
	@rm -f .typing/molehunt/__pycache__

oldest: $(OLD)

test-oldest: $(OLD)
	$(OLDEST)/bin/python -m pytest $(PARALLEL) -m 'not packaging'

smoke: $(DEVELOP)
	$(PY) .ci/smoke.py
	$(PY) .ci/sigma_cli.py

appinspect: $(DEVELOP) $(INSPECTOR)
	MOLEHUNT_APPINSPECT=$(INSPECT)/bin/splunk-appinspect $(PY) -m pytest -q tests/test_splunk_appinspect.py

differential: $(DEVELOP)
	$(PY) tests/agreement/run.py --pairs 1000000

lock: $(INSTALLED)
	$(VENV)/bin/molehunt lock --update

pack: $(INSTALLED)
	$(VENV)/bin/molehunt pack --output backends/osquery/molehunt.conf
	$(PY) -m molehunt.detectors.schedule.shipped

rules: $(INSTALLED)
	$(VENV)/bin/molehunt generate

lint-docs: $(INSTALLED)
	$(PY) docs/lint.py

tools: $(INSTALLED)
	$(PY) docs/tools.py

coverage: $(INSTALLED)
	$(VENV)/bin/molehunt coverage --format markdown --output docs/coverage.md

mutation: $(INSTALLED)
	$(PY) docs/mutation.py

rows: $(DEVELOP)
	PYTHONPATH=tests $(PY) tests/test_osquery_target.py

picture: $(INSTALLED)
	$(PY) docs/picture.py

prove: $(DEVELOP)
	$(VENV)/bin/molehunt prove $(JOBS)

stores: $(INSTALLED)
	$(PY) .ci/stores.py

support: $(DEVELOP)
	$(VENV)/bin/molehunt prove --require --update $(JOBS)
	$(PY) docs/support.py

site: $(DEVELOP)
	$(PY) docs/site/build.py site

clean:
	rm -rf $(VENV) $(OLDEST) $(INSPECT) .typing build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@for python in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python); do \
		if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
			2>/dev/null; then \
			echo "Setting up $(VENV) with $$("$$python" --version), once"; \
			exec "$$python" -m venv --clear $(VENV); \
		fi; \
	done; \
	echo 'No Python 3.11 or newer with venv was found. Install one (on Debian and Ubuntu with' >&2; \
	echo 'python3-venv), or name it: make PYTHON=/path/to/python3 hunt' >&2; \
	exit 1

$(INSTALLED): pyproject.toml $(NATIVE) | $(PY)
	@$(PY) $(INSTALL) --editable '.[fast]' \
		|| { echo 'Without hyperscan then; matching is the same, only slower.' >&2; \
			$(PY) $(INSTALL) --editable .; }
	@touch $@

$(INSPECTOR): pyproject.toml | $(PY)
	@$(PY) -m venv --clear $(INSPECT)
	@$(INSPECT)/bin/python $(INSTALL) --upgrade 'pip>=25.1'
	@$(INSPECT)/bin/python $(INSTALL) --group appinspect
	@touch $@

# Dependency groups need pip 25.1.
$(DEVELOP): $(INSTALLED)
	@$(PY) $(INSTALL) --upgrade 'pip>=25.1'
	@$(PY) $(INSTALL) --group dev
	@$(PY) $(STORES)
	@touch $@

$(OLD): pyproject.toml $(NATIVE) .ci/oldest.py $(DEVELOP)
	@$(PY) -m venv --clear $(OLDEST)
	@$(PY) .ci/oldest.py > $(OLDEST)/oldest.txt
	@$(OLDEST)/bin/python $(INSTALL) --upgrade 'pip>=25.1'
	@$(OLDEST)/bin/python $(INSTALL) --group dev --constraint $(OLDEST)/oldest.txt --editable '.[fast]'
	@$(OLDEST)/bin/python $(STORES)
	@touch $@
