# make demo, make test, make lint, make docs: each makes $(VENV) and installs what it needs, once. From then
# on none of them calls pip, until setup.cfg or constraints.txt changes.

VENV ?= .venv
# The first of these that is at least 3.11 and can make environments.
PYTHON ?= python3.11 python3.12 python3.13 python3
# What takes long, such as sktime's own checks, is left to CI: make test PYTEST_ARGS="-m slow"
PYTEST_ARGS ?= -m "not slow"
# What make gpu runs on, a checkout of the authors' repository if there is one, and the report.
DEVICE ?= cuda
AUTHORS ?=
REPORT ?= build/gpu.md

python := $(VENV)/bin/python
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo docs gpu lint test

# One thread: idle OpenMP threads spin, which makes a busy small machine many times slower.
demo: $(VENV)/.installed-demo
	@echo "==> running examples/plot_quickstart.py"
	@OMP_NUM_THREADS=1 $(python) -W ignore::FutureWarning examples/plot_quickstart.py quickstart.png
	@echo "picture: quickstart.png"

# Two processes of one thread each, as idle OpenMP threads spin (see demo).
test: $(VENV)/.installed-test
	@echo "==> running the tests"
	OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(python) -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

# Without its figures, in seconds: make docs SPHINX_ARGS="-D plot_gallery=0"
docs: $(VENV)/.installed-docs
	@echo "==> building the documentation"
	@rm -rf docs/_build docs/generated docs/gallery
	OMP_NUM_THREADS=1 $(python) -m sphinx -q -W --keep-going -b html $(SPHINX_ARGS) docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# Installs nothing: PYTHON (else python3, the last of the list) has torch and the other dependencies.
# A rehearsal on the CPU: make gpu DEVICE=cpu
gpu:
	@OMP_NUM_THREADS=1 PYTHONPATH="$(CURDIR):$(CURDIR)/benchmarks:$$PYTHONPATH" $(lastword $(PYTHON)) -m gpu \
	    --device $(DEVICE) --authors "$(AUTHORS)" --report $(REPORT)

lint: $(VENV)/.installed-dev
	@echo "==> checking style, spelling, configuration, types and import layers"
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(VENV)/bin/codespell
	$(VENV)/bin/validate-pyproject pyproject.toml
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/zizmor --offline --quiet .github
	$(python) .ci/check_release.py
	$(python) .ci/density.py
	$(python) -m mypy
	$(VENV)/bin/lint-imports

$(VENV)/.installed-%: setup.cfg constraints.txt | $(python)
	@echo "==> installing fei-sklearn[$*] into $(VENV)"
	@$(python) -m pip install -c constraints.txt -e ".[$*]"
	@touch $@

$(python):
	@for candidate in $(PYTHON); do \
	    if "$$candidate" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "==> making $(VENV) with $$candidate"; \
	        exec "$$candidate" -m venv $(VENV); \
	    fi; \
	done; \
	echo "None of: $(PYTHON), is Python 3.11 or newer with venv. Install one, or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1
