# Everything runs in .venv, made on first use; a second run needs no network.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Wheels of what the client and [ops] need, and the oldest of them: tests install them into empty environments, offline.
WHEELS := $(VENV)/wheels
DOWNLOAD := $(BIN)/python -m pip download --quiet --disable-pip-version-check -d $(WHEELS)

.PHONY: help setup demo test soak published docker lint docs bench quality clean
help:  ## what there is to type
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 10

$(READY): pyproject.toml setup.py constraints.txt tests/unit/packaging/oldest.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 10) <= v <= (3, 13) else f"TensorFlow and with it this environment need Python 3.10 to 3.13 (the client does not), this is {v[0]}.{v[1]}: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(DOWNLOAD) -c constraints.txt '.[ops]'
	$(DOWNLOAD) -r tests/unit/packaging/oldest.txt
	touch $@

setup: $(READY)  ## make .venv with everything in it

demo: $(READY)  ## checkpoint, export, serve, classify and segment; KEEP=1 leaves the server running
	$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

# Three workers on two cores, for much of the time one waits for a process it started; the tests of a file share its
# fixtures.
test: $(READY)  ## every test
	$(BIN)/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

soak: $(READY)  ## the long runs that `make test` leaves out: attacks, kills, full disks, half an hour of load, Docker
	$(BIN)/python -m pytest -m soak

published: $(READY)  ## the published MobileNet through everything; needs the package index
	$(BIN)/python -m pytest -m soak -s tests/published

docker: $(READY)  ## the rendered compose files in a real Docker engine; SLIMSERVE_IMAGE names the server's image
	$(BIN)/python -m pytest -m soak -s tests/docker

lint: $(READY)  ## ruff, mypy, and which part may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(READY)  ## the pages under docs/ as a site, in site/
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo site/index.html

bench: $(READY)  ## speed and memory, side by side
	$(BIN)/python -m benchmarks

quality: $(READY)  ## how good each way to segment is, on generated scenes
	$(BIN)/python -m benchmarks.quality

clean:  ## remove the environment and everything generated
	rm -rf $(VENV) .cache build models demo site *.egg-info
