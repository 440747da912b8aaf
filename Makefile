# The names people type. Every target sets up .venv first, once.
#   make demo        lint a sample, stream a chat, kill it, carry on: see it work
#   make test        every test
#   make lint        ruff, mypy --strict, pyright, verifytypes
#   make help        the rest

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROMPT ?= Explain ordinals

.DEFAULT_GOAL := help
.PHONY: help demo demo-cluster serve systemlab-run systemlab-build test torture chaos bench build pictures docs lint format schema-vet boundary-check verifytypes audit proto coverage clean bench-peers bench-lint

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "sessionstream needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, a minute or two) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev --editable '.[http,lab,lint,otel,postgres,redis,testing,ws]'
	@touch $@

# Through the environment, unexpanded, so that neither make nor a shell reads what is in the prompt.
unexport PROMPT
demo: export SESSIONSTREAM_PROMPT = $(value PROMPT)
demo: $(STAMP) ## lint a sample app, stream a chat, kill the process, carry on (PROMPT="…")
	@$(BIN)/python -m sessionstream.examples.chatdemo demo --prompt="$$SESSIONSTREAM_PROMPT"

demo-cluster: $(STAMP) ## the chat on three nodes and PostgreSQL; a node and the database are killed
	@$(BIN)/python -m tests.cluster

serve: $(STAMP) ## a chat page on http://127.0.0.1:8092; its chats are kept in chatdemo.db (ADDR=:PORT)
	@$(BIN)/python -m sessionstream.examples.chatdemo serve $(ADDR:%=--addr %)

systemlab-run: $(STAMP) ## the lab on http://127.0.0.1:8091: see the promises kept, and break them (ADDR=:PORT)
	@$(BIN)/sessionstream-systemlab serve $(ADDR:%=--addr %)

systemlab-build: build ## the wheel, and the lab smoke-started from it in an empty environment
	@$(BIN)/python -m tests.repo.smoke_lab dist/*.whl

test: $(STAMP) ## every test but those of torture and docs (a few minutes)
	@$(BIN)/python -m pytest -n auto --dist worksteal

torture: $(STAMP) ## the properties, searched for hours instead of seconds
	@HYPOTHESIS_PROFILE=torture $(BIN)/python -m pytest -m "not site" --timeout=0 \
		tests/properties tests/contracts tests/cluster tests/durability tests/hydration tests/lint tests/transport tests/browser

chaos: $(STAMP) ## kill, stop and cut off nodes and their database at random, for CHAOS_SECONDS (60)
	@$(BIN)/python -m pytest -q -s -m torture -k postgres18 tests/cluster

coverage: $(STAMP) ## the tests with branch coverage
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

bench: $(STAMP) ## the benchmarks: ratios within one run
	@$(BIN)/python -m benchmarks

bench-peers: $(STAMP) ## the hub beside eventsourcing, Channels and a loop over Starlette's WebSockets
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'eventsourcing>=9.5,<10'
	@$(BIN)/python -m benchmarks.peers

bench-lint: $(STAMP) ## the linter beside mypy, pylint and semgrep; what it costs flake8
	@$(BIN)/python -m benchmarks.lint_recall
	@$(BIN)/python -m benchmarks.lint_overhead
	@$(BIN)/python -m benchmarks.lint_overhead --registering 20
	@$(BIN)/python -m benchmarks.lint_growth

docs: $(STAMP) ## a site of the help, the API and the decisions, into site/; built and checked
	@$(BIN)/python -m pytest -q -m site tests/doc/test_site.py
	@echo "docs: site/index.html"

pictures: $(STAMP) ## the pictures of the README and the site, from the real pages in Chromium
	@$(BIN)/python -m tests.browser.pictures docs/pictures

build: $(STAMP) ## the sdist and the wheel, into dist/
	@$(BIN)/python -m build --outdir dist .

lint: $(STAMP) ## ruff, mypy --strict, pyright, verifytypes
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@$(MAKE) --no-print-directory verifytypes

format: $(STAMP) ## let ruff rewrite what it can
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

schema-vet: $(STAMP) ## our flake8 plugin over our own code
	@$(BIN)/flake8 --select SST sessionstream sessionstream_lint tests benchmarks proto
	@echo "schema-vet: no finding"

boundary-check: $(STAMP) ## the layers of pyproject.toml; ARCHITECTURE.md describes them
	@$(BIN)/lint-imports

verifytypes: $(STAMP) ## all types of both packages are known to type checkers, as py.typed promises
	@for package in sessionstream sessionstream_lint; do \
		found=$$(PATH="$(abspath $(BIN)):$$PATH" pyright --verifytypes $$package --ignoreexternal) || \
			{ echo "$$found"; exit 1; }; \
		echo "$$package: $$(echo "$$found" | grep '^Type completeness')"; \
	done

audit: $(STAMP) ## known vulnerabilities of the installed dependencies; needs the network
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check pip-audit
	@$(BIN)/pip-audit --skip-editable

proto: $(STAMP) ## regenerate the protobuf modules and stubs
	@$(BIN)/python proto/generate.py

clean: ## remove everything that can be made again
	rm -rf .venv .tox dist build site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
