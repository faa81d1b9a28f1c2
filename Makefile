VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
UV := .venv-uv/bin/uv
# On Linux a plain requirement of torch brings gigabytes of CUDA packages along. pip takes the CPU build, which needs
# none of them, where it finds a CPU wheel of this version: given with --find-links, or on PyTorch's own CPU index.
TORCH := 2.13.0

# Finds a version for every package. They are used as constraints, so that nothing is installed which nobody requires.
RESOLVE = echo 'torch==$(TORCH)' | UV_PYTHON_DOWNLOADS=never $(UV) pip compile pyproject.toml - --extra dev --upgrade \
	--quiet --no-annotate --custom-compile-command 'make lock'
# Build backends come first and are constrained too. Errors are printed, pip's warnings are not.
PIP = -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
DOCS := $(VENV)/.installed-docs

.PHONY: help install quickstart test test-fast peers check docs benchmark lock test-lowest test-newest clean

help:  ## Print this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo 'Studies of the paper, after make install (--help lists options, draw DIR instead of run draws what is done):'
	@echo '  $(PYTHON) -m experiments.two_rooms run'
	@echo '  $(PYTHON) -m experiments.figure4 run --suite grid-mazes --output runs/figure4'
	@echo '  $(PYTHON) -m experiments.mazes run --output runs/mazes-results'
	@echo '  $(PYTHON) -m experiments.transfer run --output runs/transfer'
	@echo '  $(PYTHON) -m experiments.transfer run --output runs/transfer-two-rooms --suite two-rooms'
	@echo '  $(PYTHON) -m experiments.warm_start run --output runs/warm-start'
	@echo '  $(PYTHON) -m experiments.costs run --output runs/costs'
	@echo '  $(PYTHON) -m experiments.scales run --output runs/scales'
	@echo '  $(PYTHON) -m experiments.scaling run --output runs/scaling'
	@echo '  $(PYTHON) -m experiments.likeness run --output runs/likeness'
	@echo '  $(PYTHON) -m experiments.continual run --output runs/continual'
	@echo '  $(PYTHON) -m experiments.view run --output runs/view'
	@echo '  $(PYTHON) -m experiments.families run --output runs/families'

install: $(INSTALLED)  ## Make .venv and install the package with everything the commands below need

# Repeated calls do nothing until the requirements change.
$(INSTALLED): pyproject.toml constraints.txt
	@python3 -c 'import sys; sys.exit("Python 3.10 or newer is needed." if sys.version_info < (3, 10) else 0)'
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) $(PIP) -c constraints.txt hatchling editables setuptools
	$(PYTHON) $(PIP) -c constraints.txt --no-build-isolation -e '.[dev]'
	touch $@

quickstart: $(INSTALLED)  ## Train on eight mazes, print a table, draw figures into runs/quickstart (a minute)
	$(PYTHON) examples/quickstart.py

test: $(INSTALLED)  ## Run all tests
	$(PYTHON) -m pytest -n 2 --dist loadfile

test-fast: $(INSTALLED)  ## Run the quick tests of the mathematics and the networks
	$(PYTHON) -m pytest -n 2 --dist loadfile -m 'not slow' tests/method tests/networks

peers: $(INSTALLED)  ## Run Stable-Baselines3's own tests with Distral in the place of A2C and PPO (half an hour, a download)
	$(PYTHON) $(PIP) ale-py
	$(PYTHON) tests/peers/run_sb3_tests.py --page docs/peers.md

check: $(INSTALLED)  ## Check format, style, types and the directions of imports
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	$(VENV)/bin/lint-imports

docs: $(DOCS)  ## Build the site into docs/_build; a warning is an error
	$(PYTHON) -m sphinx -W --keep-going -n -q docs docs/_build

$(DOCS): $(INSTALLED)
	$(PYTHON) $(PIP) -c constraints.txt --no-build-isolation -e '.[dev,docs]'
	touch $@

benchmark: $(INSTALLED)  ## Print the speed tables (a few minutes)
	$(PYTHON) benchmarks/speed.py
	$(PYTHON) benchmarks/recurrent_speed.py
	$(PYTHON) benchmarks/prior_speed.py
	$(PYTHON) benchmarks/world_speed.py

lock: $(UV)  ## Write constraints.txt anew: the newest versions for Python 3.10 and above
	$(RESOLVE) --extra metaworld --extra docs --universal --python-version 3.10 --output-file .venv-uv/constraints.txt
	grep -Ev '^(cuda|nvidia|triton)' .venv-uv/constraints.txt > constraints.txt

test-lowest: RESOLUTION = lowest-direct  ## Run all tests with the lowest versions that pyproject.toml allows
test-newest: RESOLUTION = highest  ## Run all tests with the newest versions that pyproject.toml allows
test-lowest test-newest: test-%: $(UV)
	test -x .venv-$*/bin/python || python3 -m venv .venv-$*
	$(RESOLVE) --python .venv-$*/bin/python --resolution $(RESOLUTION) --output-file .venv-$*/constraints.txt
	.venv-$*/bin/python $(PIP) -c .venv-$*/constraints.txt hatchling editables setuptools
	.venv-$*/bin/python $(PIP) -c .venv-$*/constraints.txt --no-build-isolation -e '.[dev]'
	.venv-$*/bin/python -m pytest -n 2 --dist loadfile

$(UV):
	python3 -m venv .venv-uv
	.venv-uv/bin/python $(PIP) uv

clean:  ## Remove the virtual environments, caches and results under runs/
	rm -rf .venv .venv-* runs build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
