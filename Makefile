# make start     the app of this folder on an embedded task hub, http://localhost:7071
# make test      everything that CI checks
# make check     the fast loop: lint, types, unit tests
# make bench     benchmarks
# make docs      writes docs/reference from the docstrings
# make proto     generated code of the wire protocol, after a change of taskhub.proto
# make clean     removes .venv and what tools left; keeps .durable, the state of the task hub
#
# PYTHON=python3.12   interpreter for .venv, 3.11 or newer
# ARGS="--port 7072"  passed to `func start`

PYTHON ?= python3
ARGS ?=
export PYTHON

.PHONY: start test check bench docs proto clean

start:
	@sh .ci/venv local
	@exec .venv/bin/func start $(ARGS)

test:
	@bash .ci/run all

check:
	@bash .ci/run lint
	@bash .ci/run types
	@bash .ci/run unit

bench:
	@sh .ci/venv local,dev
	@exec .venv/bin/python -m benchmarks $(ARGS)

docs:
	@sh .ci/venv local,dev
	@.venv/bin/python docs/build_reference.py

proto:
	@sh .ci/proto

clean:
	rm -rf .venv build dist htmlcov .mypy_cache .pytest_cache .ruff_cache .import_linter_cache \
	    .hypothesis .coverage .coverage.*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
