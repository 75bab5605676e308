# Everything runs in .venv, which holds exactly what requirements.lock names, and this project.
# `make PYTHON=python3.13 test` builds and uses a .venv of that interpreter instead, and so does each
# make after it.

SUPPORTED := 3.11, 3.12 or 3.13
UV_VERSION := 0.13.9
# Arguments for the program that a target runs: make test ARGS="-k ledger"
ARGS ?=
# Duration of make test-search.
MINUTES ?= 10

# Two test files at a time; the tests of one file share expensive fixtures.
PARALLEL := -n 2 --dist loadfile

VENV := .venv
RUN := $(VENV)/bin/python
# .venv's own, else the first that runs and is supported: python3 may be too old or missing.
SUPPORTS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(shell for one in $(RUN) python3 python3.13 python3.12 python3.11; do \
	$$one -c '$(SUPPORTS)' 2>/dev/null && echo $$one && break; done),python3)
endif
version_of = $(shell $(1) -c 'import platform; print(platform.python_version())' 2>/dev/null)
VERSION := $(call version_of,$(PYTHON))
# pyenv has a python3.12 on the PATH for a 3.12 that is installed, which runs only where that is
# the version selected. The interpreter itself always runs.
ifeq ($(VERSION),)
PYENV := $(or $(PYENV_ROOT),$(HOME)/.pyenv)/versions
INSTALLED_BY_PYENV := $(sort $(wildcard $(patsubst %,$(PYENV)/*/bin/%,$(filter python3.%,$(PYTHON)))))
ifneq ($(INSTALLED_BY_PYENV),)
override PYTHON := $(lastword $(INSTALLED_BY_PYENV))
VERSION := $(call version_of,$(PYTHON))
endif
endif
INTERPRETER := $(VENV)/.python-$(or $(VERSION),missing)
INSTALLED := $(VENV)/.installed
# Compile once at installation; else every command would compile the modules it imports.
COMPILE := $(if $(PYTHONDONTWRITEBYTECODE),,--compile-bytecode)

# uv does not read pip's configuration: pass it the certificate that pip is configured to trust.
TRUST = cert=$$($(RUN) -m pip config list | sed -n "s/^[a-z:]*\.cert='\(.*\)'$$/\1/p" | tail -n 1); \
	SSL_CERT_FILE="$${SSL_CERT_FILE:-$$cert}"; \
	if [ -n "$$SSL_CERT_FILE" ]; then export SSL_CERT_FILE; else unset SSL_CERT_FILE; fi;
UV = $(TRUST) VIRTUAL_ENV=$(1) $(VENV)/bin/uv pip

.DEFAULT_GOAL := help
.PHONY: help install lock demo test test-thorough test-long test-search coverage mutants core-check lint bench stack page lambda deploy-check tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED) ## build the locked .venv, unless it is up to date
	@# The service account cannot write bytecode here.
	@$(if $(COMPILE),$(RUN) -m compileall -q realtime settings.py)

# --universal: one lock for every system and Python. Pinned releases stay, unless ARGS has --upgrade.
lock: install ## rewrite requirements.lock after a change of setup.cfg or requirements.overrides
	@$(call UV,$(VENV)) compile setup.cfg --quiet --extra dev --universal --python-version 3.11 \
		--generate-hashes --override requirements.overrides $(ARGS) -o requirements.lock

demo: install ## scrape, import, archive and finalize on the embedded stack
	$(RUN) manage.py demo_realtime $(ARGS)

test: install ## run the tests, two files at a time
	$(RUN) -m pytest $(PARALLEL) $(ARGS)

test-thorough: install ## run what make test leaves out for its time: many processes, browsers, faults, the demo
	$(RUN) -m pytest $(PARALLEL) -m thorough $(ARGS)

test-long: install ## run all tests, every crash point and thousands of schedules; takes hours
	REALTIME_TEST_LONG=1 $(RUN) -m pytest $(PARALLEL) -m "long or not long" $(ARGS)

test-search: install ## compare random schedules with core's import: make test-search MINUTES=10
	$(RUN) -m tests.schedules --minutes $(MINUTES) $(ARGS)

coverage: install ## run the tests, and list the branches of realtime/ that none of them takes
	@$(RUN) -m coverage erase
	$(RUN) -m coverage run -m pytest $(PARALLEL) -m "not long and not deploy" $(ARGS)
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

mutants: install ## put listed mistakes into a copy of the code, which tests must notice: ARGS=--guard
	$(RUN) -m tests.mutants $(ARGS)

core-check: install ## try releases of core aside, and print the lines that admit them: CORE=6.27.0
	@test -n "$(CORE)" || { echo "which releases? make core-check CORE=6.27.0" >&2; exit 1; }
	@$(TRUST) $(RUN) -m tests.core_check $(CORE) $(ARGS)

lint: install ## check style and types
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy

bench: install ## measure our imports beside core's
	@$(MAKE) --no-print-directory .venv-emulator/.installed \
		|| echo "ministack cannot be installed: moto serves S3 and SQS, which is slow" >&2
	$(RUN) -m bench $(ARGS)

stack: install ## run PostgreSQL, S3 and SQS with Wyoming loaded, until Ctrl-C
	@$(RUN) manage.py local_stack --jurisdiction wy $(ARGS)

page: install ## run the stack and the operators' page at http://127.0.0.1:8000
	@$(RUN) manage.py local_stack --jurisdiction wy --page $(ARGS)

lambda: install ## build and measure the Lambda zip for each architecture
	@$(TRUST) $(RUN) -m deploy.aws.package $(ARGS)

deploy-check: tools ## check the template, Dockerfiles and systemd units in deploy/
	.venv-check/bin/cfn-lint --include-checks I --template deploy/aws/template.yaml \
		deploy/grafana/cloudwatch-alarms.yaml
	@# Without telemetry this needs no network.
	SAM_CLI_TELEMETRY=0 AWS_EC2_METADATA_DISABLED=true .venv-check/bin/sam validate --lint \
		--region us-east-1 --template-file deploy/aws/template.yaml
	.venv-check/bin/hadolint deploy/docker/Dockerfile.*
	$(RUN) deploy/systemd/verify.py

tools: .venv-check/.installed .venv-emulator/.installed ## install the tools of deploy-check and of some tests

$(INTERPRETER):
	@test -n "$(VERSION)" \
		|| { echo "$(PYTHON) cannot be run: name a Python $(SUPPORTED), make PYTHON=…" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTS)' \
		|| { echo "$(PYTHON) is Python $(VERSION), but $(SUPPORTED) is needed: make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# pip refuses the metadata of textract 1.6.5, which core needs; uv accepts it. uv sync keeps pip and
# uv installed.
$(INSTALLED): $(INTERPRETER) requirements.lock setup.cfg pyproject.toml
	$(RUN) -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(call UV,$(VENV)) sync --quiet --require-hashes $(COMPILE) requirements.lock
	@$(call UV,$(VENV)) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Tools whose dependencies conflict with core's.
.venv-%/.installed: deploy/tools/%.lock | $(INSTALLED)
	$(PYTHON) -m venv --clear --without-pip .venv-$*
	@$(call UV,.venv-$*) sync --quiet --require-hashes $<
	@touch $@
