# Assay's commands. Needs only make and Python 3.11 or later (with venv and pip).
# PORT=9000 make demo    another port          PYTHON=python3.12 make setup    another Python
SHELL := /bin/sh
PYTHON ?= python3
PORT ?= 8000
VENV := .venv
STATE := $(if $(ASSAY_STATE),$(ASSAY_STATE),.state)
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from
WORKERS ?= 4
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-clients test-e2e lint bench bench-stats bench-pages bench-serve bench-idle lock clean

help: ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

setup: ## Make .venv with everything in requirements.lock (1 to 2 minutes; nothing when it is up to date)
	@PYTHON="$(PYTHON)" VENV="$(VENV)" STAMP="$(STAMP)" $(SHELL) config/setup.sh

demo: setup ## Example experiments, live traffic and the admin at http://127.0.0.1:8000/admin/ until Ctrl-C
	@exec $(BIN)/python config/bound.py $$PPID $(BIN)/python manage.py demo --port $(PORT)

# Workers and the programs that tests start share what they compile, also where the environment says to write nothing.
test test-slow test-clients test-e2e: export PYTHONDONTWRITEBYTECODE :=

test: setup ## The test suite on real PostgreSQL and Redis, but for the long stories (12 minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

test-slow: setup ## The long stories: killed processes, outages, public data sets, a real Prometheus (10 minutes)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "slow and not node and not browser" $(ARGS)

test-clients: setup ## Clients written in JavaScript (needs node and npm) and the long comparisons, against a live installation (5 to 8 minutes)
	@$(BIN)/python -m pytest -n 0 -m node tests/clients $(ARGS)

test-e2e: setup ## The pages in the system's Chromium, by three people (4 minutes; ARGS="--images FOLDER" keeps pictures)
	@$(BIN)/python -m pytest -n 0 -m browser tests/e2e $(ARGS)

lint: setup ## Style, types, import walls, forgotten migrations (half a minute)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -W ignore manage.py makemigrations --check --dry-run

bench: setup ## Measure against the floors (ARGS=… goes to the benchmarks)
	@$(BIN)/python -m benchmarks $(ARGS)

bench-stats: setup ## The statistics' speed against gbstats and tea-tasting (3 minutes)
	@$(BIN)/python -m benchmarks.bench_stats

bench-pages: setup ## The speed and the queries of the workplace's pages among 200 experiments (3 minutes)
	@$(BIN)/python -m benchmarks.bench_pages

bench-serve: setup ## The speed of deciding and answering, against floors and peers (4 minutes; ARGS="--minutes 10" watches the memory)
	@$(BIN)/python -m benchmarks.bench_serve $(ARGS)

bench-idle: setup ## What the whole demo uses without traffic: processor and memory, against floors (takes 8 minutes)
	@$(BIN)/python -m benchmarks.bench_idle $(ARGS)

lock: ## Compile requirements.lock from pyproject.toml
	@mkdir -p $(STATE)
	@test -x $(STATE)/uv/bin/uv || { $(PYTHON) -m venv $(STATE)/uv && $(STATE)/uv/bin/python -m pip install --quiet uv; }
	@$(STATE)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--custom-compile-command "make lock" --extra local --extra dev --output-file requirements.lock pyproject.toml $(ARGS)

clean: ## Remove .venv, caches and the state folder with its databases
	@$(PYTHON) config/clean.py
