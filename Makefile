# Needs python3 (3.11 or newer) with venv, and make. All it makes lies in .venv and .coinfleet.
# A recipe that keeps running is one exec: make passes SIGTERM to its direct child only.

PYTHON ?= python3
DEBIAN := COINFLEET_POSTGRES_BIN=/usr/lib/postgresql/15/bin COINFLEET_REDIS_SERVER=/usr/bin/redis-server
export PYTHONUNBUFFERED := 1
# Bytecode that is kept halves what a process needs to start, and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.coinfleet/cache/hypothesis

PIP := .venv/bin/python -m pip --disable-pip-version-check -qq install --no-deps
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11) and f"coinfleet needs Python 3.11 or newer; this is {sys.version.split()[0]}")

.PHONY: help run test test-all test-debian alerts-test assets-test browser-test screenshots image-test queue-test hosts-test deploy-lint faults tour lint bench lock
.DEFAULT_GOAL := help

help: ## this list
	@exec sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile

run: .venv/.runtime ## the whole fleet on an embedded PostgreSQL and Valkey (PORT=8000, MOCK_PROVIDERS=1)
	@exec .venv/bin/coinfleet up $(if $(MOCK_PROVIDERS),--mock-providers)

test: .venv/.development ## every test but the long ones, on embedded servers of its own
	@exec .venv/bin/python -m pytest -n 4 --dist loadfile -m "not long and not browser" $(ARGS)

test-all: .venv/.development ## every test, the long ones too
	@exec .venv/bin/python -m pytest -n 4 --dist loadfile -m "not bench and not browser" $(ARGS)

test-debian: .venv/.development ## SQL and journey tests on Debian's postgresql-15 and redis-server
	@exec env $(DEBIAN) .venv/bin/python -m pytest tests/db tests/journeys $(ARGS)

alerts-test: .venv/.development ## each alert by its cause in a real fleet, judged by promtool (apt-get install prometheus faketime)
	@exec .venv/bin/python -m pytest -rs tests/deploy/test_alerts.py tests/deploy/test_incidents.py $(ARGS)

image-test: .venv/.development ## builds the image and runs its processes (BASE=python:3.13-slim; apt-get install buildah)
	@exec .ci/image-test $(ARGS)

queue-test: .venv/.development ## RabbitMQ, and Redis behind Sentinel, each stopped and frozen (apt-get install rabbitmq-server redis-sentinel)
	@exec .venv/bin/python -m pytest -rs tests/workers/queue/test_rabbitmq.py tests/workers/queue/test_sentinel.py $(ARGS)

hosts-test: .venv/.development ## a fleet on two hosts, one of which is cut off (network namespaces, as root)
	@exec .ci/hosts-test $(ARGS)

deploy-lint: .venv/.deploy ## Dockerfile, compose file, systemd units and Kubernetes manifests
	@exec .ci/deploy-lint

faults: .venv/.development ## all tests that stop, freeze, empty or kill something, the long ones too
	@exec .venv/bin/python -m pytest -m faults $(ARGS)

tour: .venv/.development ## the README's tour with mock providers, typed line by line
	@exec .venv/bin/python -m pytest tests/journeys/test_tour.py $(ARGS)

lint: .venv/.development ## format check, lint, types, import rules, migrations, assets
	@exec .ci/lint

screenshots: .venv/.browser ## draws the pictures of docs/images anew, of a fleet with a day behind it
	@exec env SCREENSHOTS=1 .venv/bin/python -m pytest tests/browser/test_screenshots.py -m browser $(ARGS)

browser-test: .venv/.browser ## the console in Debian's chromium; skips with a reason where it is missing
	@exec .venv/bin/python -m pytest tests/browser -m browser $(ARGS)

assets-test: .venv/.development ## the console's static files against npm's registry
	@exec .venv/bin/python -m tests.assets --registry

bench: .venv/.development ## the budgets, each with its reference in the same run
	@exec .venv/bin/python -m tests.bench $(ARGS)

lock: .venv/.development ## new lock files from pyproject.toml (UPGRADE=--upgrade for newer versions)
	@exec .ci/lock $(UPGRADE)

# The lock files pin every package by hash; the project itself is linked in, not copied.
.venv/.runtime: requirements.lock pyproject.toml
	@$(PYTHON) -c '$(NEW_ENOUGH)'
	@echo "Installing into .venv ..."
	@$(PYTHON) -m venv .venv
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation -e .
	@touch $@

.venv/.development: requirements-dev.lock .venv/.runtime
	@echo "Installing the development tools into .venv ..."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.browser: requirements-browser.lock .venv/.development
	@echo "Installing the browser's driver into .venv ..."
	@$(PIP) --require-hashes -r requirements-browser.lock
	@touch $@

.venv/.deploy: requirements-deploy.lock .venv/.development
	@echo "Installing the tools of deployment into .venv ..."
	@$(PIP) --require-hashes -r requirements-deploy.lock
	@touch $@
