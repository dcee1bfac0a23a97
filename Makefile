# make demo    run an outbound campaign on a real Airflow against the simulator; it ends with a table of who was called
# make test    run all tests, three at a time; ARGS="tests/system -n0" selects some
# make ui      start Airflow's UI with the simulator, a connection and the examples; it prints the address
# make check   check format, lint, types, documentation, links and spelling
# make docs    build the documentation in docs/_build/html; a warning is an error
# make schema  regenerate the JSON schema of fleet files from the models
# make matrix  run the tests that depend on Airflow and Python on every supported pair of versions; ARGS="--list" prints the pairs, ARGS="--tags oldest newest -- ci" runs the part that CI runs
# make screenshots   take the pictures in docs/images with the browser tests
# make dist    build and check the wheel and the sdist in dist, and a bill of materials in sbom (about a minute)
# make faults  run the fault campaign, which counts agents and calls while everything fails: SEED=1 RUNS=300, or FIRST=17 RUNS=1 to repeat run 17; COORDINATION=none runs without locks
# make fuzz    test the client, the polls and the plans with responses that no service should send: SEED=1 SECONDS=600; REPRODUCE=file repeats one
# make soak    poll for a long time with some odd responses, to see what grows: POLLS=20000 (about 15 minutes)
# make events  run a watcher on a real Airflow whose triggerer is killed, then wait ten minutes in which nothing may fire; QUIET=600 seconds
# make audit   check the pinned dependencies for known vulnerabilities (asks PyPI; not part of CI, because an advisory should not break a build)
# make bench   measure waiting, fleets, campaigns, results, the command line, imports and tasks, compared with the HTTP provider; writes benchmarks/RESULTS.md (about 35 minutes; with QUICK=1 about 10, and it writes nothing)
# make bench-knowledge    measure 500 training scenarios under the service's rate limit (about ten minutes)
# make bench-calls        measure calls to 1,000 people of a file under the service's rate limit (about eleven minutes)
# make bench-sequences    measure waiting for 1,000 sequences in one event loop, and 1,000 tasks that wait for one (about three minutes)
# make bench-campaign     measure a campaign for 1,000 people of a file under the service's rate limit (about two minutes)
# make bench-extraction   measure the extraction of 100,000 conversations to a file, compared with the HTTP provider (about three minutes)
# make bench-agents-page  measure the time to the first byte of the page of agents, with a cold and a warm cache (about two minutes)
# make bench-import       measure the import of the operators and the sensor
# PYTHON=python3.12 make ... uses another Python for a new .venv

PYTHON ?= $(firstword $(foreach python,python3.11 python3.12 python3.13 python3,$(shell command -v $(python) 2>/dev/null)))
BIN := .venv/bin
INSTALLED := .venv/.installed
EXAMPLES := docs/_build/examples

.PHONY: demo test ui check lint docs links spelling schema matrix screenshots dist faults fuzz soak events audit format bench bench-agents-page bench-calls bench-campaign bench-extraction bench-import bench-knowledge bench-sequences clean

demo: $(INSTALLED)
	$(BIN)/python dev/demo.py

test: $(INSTALLED)
	$(BIN)/python dev/debian_packages.py
	$(BIN)/pytest --numprocesses 3 $(ARGS)

ui: $(INSTALLED)
	$(BIN)/python dev/ui.py

check: lint docs links spelling

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	rm -rf $(EXAMPLES)
	$(BIN)/python dev/page_examples.py $(EXAMPLES)
	$(BIN)/ruff format --no-respect-gitignore --check $(EXAMPLES)
	$(BIN)/ruff check --no-respect-gitignore $(EXAMPLES)

docs: $(INSTALLED)
	$(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning --keep-going --builder html docs docs/_build/html

# Nothing is fetched: a link to a page of the published site is checked against the page here, and a link to the
# repository against the file here.
SITE := https://airflow-provider-opencx[.]readthedocs[.]io/en/stable
REPOSITORY := airflow-provider-opencx/airflow-provider-opencx
# Not installed with the rest: it is a download of 80 MB that only this target needs.
$(BIN)/lychee: | $(INSTALLED)
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --constraint constraints.txt --group links

LINKED := README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md 'docs/**/*.md' 'benchmarks/*.md' example_dags
links: $(BIN)/lychee
	@if test -x $(BIN)/lychee; then \
	  $(BIN)/lychee --offline --include-fragments --no-progress --exclude-path docs/_build \
	  --remap '^$(SITE)/([^#]*)[.]html(#.*)?$$ file://$(CURDIR)/docs/$$1.md$$2' \
	  --remap '^https://github[.]com/$(REPOSITORY)/(?:blob|tree)/main/(.*)$$ file://$(CURDIR)/$$1' \
	  --remap '^https://raw[.]githubusercontent[.]com/$(REPOSITORY)/main/(.*)$$ file://$(CURDIR)/$$1' \
	  $(LINKED); \
	else echo "Links were not checked: there is no lychee for this kind of machine."; fi

SPELLED := README.md CONTRIBUTING.md SECURITY.md CHANGELOG.md docs airflow_provider_opencx tests dev benchmarks example_dags \
  Makefile noxfile.py pyproject.toml .ci .github
spelling: $(INSTALLED)
	$(BIN)/codespell $(SPELLED)

schema: $(INSTALLED)
	$(BIN)/python -m airflow_provider_opencx.phone_agents.fleet_files.schema

matrix: $(INSTALLED)
	$(BIN)/nox $(ARGS)

screenshots: $(INSTALLED)
	$(BIN)/python dev/debian_packages.py
	SCREENSHOTS=$(CURDIR)/docs/images $(BIN)/pytest tests/browser $(ARGS)

# All that is in dist is uploaded to the package index, which takes distributions alone: so the SBOM is not there.
dist: $(INSTALLED)
	rm -rf dist sbom
	$(BIN)/hatchling build
	$(BIN)/twine check --strict dist/*
	$(BIN)/python dev/sbom.py dist/*.whl sbom

SEED ?= 1
RUNS ?= 300
FIRST ?= 0
COORDINATION ?= machine
faults: $(INSTALLED)
	cd dev && $(CURDIR)/$(BIN)/python -m fault_campaign --seed $(SEED) --runs $(RUNS) --first $(FIRST) \
	  --coordination $(COORDINATION)

SECONDS ?= 600
REPRODUCE ?=
fuzz: $(INSTALLED)
	cd dev && $(CURDIR)/$(BIN)/python -m fuzz --seed $(SEED) --seconds $(SECONDS) \
	  $(if $(REPRODUCE),--reproduce $(abspath $(REPRODUCE)))

POLLS ?= 20000
soak: $(INSTALLED)
	cd dev && $(CURDIR)/$(BIN)/python soak.py --polls $(POLLS)

QUIET ?= 600
events: $(INSTALLED)
	EVENTS_QUIET_SECONDS=$(QUIET) $(BIN)/pytest -n0 -s tests/system/test_phone_agent_events.py

audit: $(INSTALLED)
	$(BIN)/uv tool run --from pip-audit==2.10.1 pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)
	$(BIN)/python benchmarks $(if $(QUICK),--quick)

bench-knowledge: $(INSTALLED)
	$(BIN)/python benchmarks/knowledge.py

bench-calls: $(INSTALLED)
	$(BIN)/python benchmarks/calls.py

bench-sequences: $(INSTALLED)
	$(BIN)/python benchmarks/sequences.py

bench-campaign: $(INSTALLED)
	$(BIN)/python benchmarks campaign

bench-extraction: $(INSTALLED)
	$(BIN)/python benchmarks/extraction.py

bench-agents-page: $(INSTALLED)
	$(BIN)/python benchmarks/agents_page.py

bench-import: $(INSTALLED)
	$(BIN)/python benchmarks/import_time.py

clean:
	rm -rf .venv .nox .hypothesis .mypy_cache .pytest_cache .ruff_cache .schemathesis dist sbom docs/_build

# Compile bytecode once here, because Airflow starts a process for every task.
$(INSTALLED): pyproject.toml constraints.txt
	@echo "Installing Airflow, the provider and what its tests need into .venv."
	@echo "This takes about a minute, and again only when pyproject.toml or constraints.txt has changed ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv pip install --quiet --compile-bytecode --constraint constraints.txt \
	  --editable '.[simulator,redis]' --group dev
	@touch $@
	@echo "Installed."
