VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install quickstart test check benchmark clean

help:  ## Print this list
	@sed -n 's/^\([a-z]*\):.*##  *\(.*\)/  make \1\t\2/p' Makefile | expand -t 20
	@echo 'Studies of the paper, after make install (--help lists options, draw DIR instead of run draws what is done):'
	@echo '  $(PYTHON) -m experiments.two_rooms run'
	@echo '  $(PYTHON) -m experiments.figure4 run --suite grid-mazes --output runs/figure4'
	@echo '  $(PYTHON) -m experiments.mazes run --output runs/mazes-results'

install: $(INSTALLED)  ## Make .venv and install the package with everything the commands below need

# Repeated calls do nothing until the requirements change.
$(INSTALLED): pyproject.toml constraints.txt
	@python3 -c 'import sys; sys.exit("Python 3.10 or newer is needed." if sys.version_info < (3, 10) else 0)'
	test -x $(PYTHON) || python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

quickstart: $(INSTALLED)  ## Train on eight mazes, print a table, draw figures into runs/quickstart (a minute)
	$(PYTHON) examples/quickstart.py

test: $(INSTALLED)  ## Run all tests
	$(PYTHON) -m pytest -n 2 --dist loadfile

check: $(INSTALLED)  ## Check format, style and types
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

benchmark: $(INSTALLED)  ## Print the speed tables (a few minutes)
	$(PYTHON) benchmarks/speed.py
	$(PYTHON) benchmarks/recurrent_speed.py
	$(PYTHON) benchmarks/world_speed.py

clean:  ## Remove .venv, caches and results under runs/
	rm -rf $(VENV) runs build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
