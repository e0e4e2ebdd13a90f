# teagent.  `make help` lists the targets.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
ROOT := $(shell [ "$$(id -u)" = 0 ] || echo "sudo -E")
export PYTHONDONTWRITEBYTECODE = 1
# The name of lab-up's instance; others may run beside it.
TEAGENT_LAB ?= two-transit
# More for lab-prediction: --seed 7 --changes 5 --json FILE
PREDICTION ?=
TOPOLOGY := labs/two-transit/two-transit.clab.yml

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup wireshark demo lab-prediction test check faults format lab-up lab-down clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install what is missing: Debian packages, .venv
	@scripts/setup

demo: setup  ## the whole job on the lab: measure, propose, approve, announce, prove (as root)
	@scripts/as-root $(PY) -m labs.demo

lab-prediction: setup  ## predictions of 10 changes on a small Internet of real routers, and their scores (as root)
	@scripts/as-root $(PY) -m labs.prediction $(PREDICTION)

check: setup  ## the fast part: format, lint, types, imports, unit tests (under 2 minutes)
	$(VENV)/bin/ruff format --check -q .
	$(VENV)/bin/ruff check -q .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PY) -m pytest -q -n auto -m "not lab and not slow" tests

wireshark:
	@scripts/setup tshark || echo "make: tshark is not to be had here, its tests are skipped"

test: wireshark check  ## everything: check, then what is slow and the labs on real routers (as root)
	@timeout 300 scripts/real-ollama || echo "make: a real Ollama is not to be had here, its tests are skipped"
	$(ROOT) $(PY) -m pytest -q -n auto -p no:cacheprovider -m "slow and not lab" tests
	$(ROOT) $(PY) -m pytest -q -n 2 --dist loadfile -p no:cacheprovider -m lab tests

faults: setup  ## try the promises about safety by fault injection, and print the figures (as root, about half an hour)
	@scripts/as-root $(PY) -m tests.faults

format:  ## put the code into its form
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lab-up: setup  ## bring the two-transit lab up and leave it running
	@scripts/as-root $(PY) -m labs.runner deploy -t $(TOPOLOGY) --name $(TEAGENT_LAB)

lab-down:  ## take it down
	@scripts/as-root $(PY) -m labs.runner destroy --name $(TEAGENT_LAB)

clean:  ## remove what setup and the tools made here
	rm -rf $(VENV) .ollama .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
