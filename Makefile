# Everything a developer types. Needs Python 3.10 to 3.13, make and a C++ compiler; the rest comes from PyPI.
# `make PYTHON=python3.12 test` chooses the Python; .venv remembers it.
SHELL := /bin/bash
.SHELLFLAGS := -eo pipefail -c
.DELETE_ON_ERROR:

VENV := $(CURDIR)/.venv
RUN := $(VENV)/bin/python
UV := $(VENV)/bin/uv
PYTHON ?= $(firstword $(wildcard $(shell cat $(VENV)/.python 2>/dev/null)) python3)
export UV_PYTHON_DOWNLOADS := never

# A shell in which a ROS installation is sourced would mix its packages into ours.
unexport $(filter AMENT_% CMAKE_PREFIX_PATH COLCON_% LD_LIBRARY_PATH PYTHONHOME PYTHONPATH RMW_% ROS_% \
	VIRTUAL_ENV _ROS_WHEELS_BOOTSTRAP_COMPLETE,$(.VARIABLES))

# The workspace that `make test` builds, and the command line to do it in.
WORKSPACE := build/colcon
COLCON := cd $(WORKSPACE) && export PATH=$(VENV)/bin:$$PATH AMENT_PREFIX_PATH=$(VENV) CMAKE_PREFIX_PATH=$(VENV) && colcon

.PHONY: help demo test test-source test-workspace test-robot bench lint lock build clean

help:  ## list these targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/\1\t\2/p' Makefile | expand -t 18

demo: build  ## run the real node on the demo bag and show what it sees (ARGS="…" for `caer demo`)
	$(VENV)/bin/caer demo $(ARGS)

test: test-source test-workspace test-robot  ## all tests: source, installed workspace, a robot's Python stack

test-source: build
	$(RUN) -m pytest -n 2 test

test-workspace: build  ## build with colcon, test, and run the installed node
	mkdir -p $(WORKSPACE)
	rm -rf $(WORKSPACE)/install  # or what is no longer installed would linger
	$(COLCON) build --base-paths $(CURDIR) --packages-select caer_ros \
		--cmake-args -G Ninja -DPython3_EXECUTABLE=$(RUN)
	$(COLCON) test --base-paths $(CURDIR) --packages-select caer_ros --return-code-on-test-failure \
		|| { colcon test-result --verbose; exit 1; }
	source $(WORKSPACE)/install/setup.bash && PATH=$(VENV)/bin:$$PATH && cd $(WORKSPACE) && \
		$(RUN) -m pytest $(CURDIR)/test/smoke

# Ubuntu 24.04's numpy and OpenCV, and wheels (with the companion, then without) instead of the sources. Its numpy has no
# wheel for Python 3.13.
ROBOT := build/robot
test-robot: build
	if $(RUN) -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
		echo "SKIPPED: a robot's Python stack (numpy 1.26) does not exist for Python 3.13"; exit; \
	fi; \
	[ -x $(ROBOT)/venv/bin/python ] || $(UV) venv -q --clear --python $(RUN) $(ROBOT)/venv; \
	$(UV) pip install -q --python $(ROBOT)/venv -r requirements/robot.txt; \
	for option in ON OFF; do \
		rm -rf $(ROBOT)/dist; \
		CMAKE_ARGS=-DCAER_OFFLINE=$$option \
			$(UV) build -q --wheel --no-build-isolation --python $(RUN) -o $(ROBOT)/dist; \
		$(UV) pip install -q --python $(ROBOT)/venv --no-deps --reinstall $(ROBOT)/dist/*.whl; \
		(cd $(ROBOT) && CAER_OFFLINE=$$option venv/bin/python -m pytest -q $(CURDIR)/test/smoke/test_contents.py); \
	done; \
	cd $(ROBOT); \
	venv/bin/python -c 'import caer_ros, cv2, numpy; print(caer_ros.__file__, cv2.__version__, numpy.__version__)'; \
	venv/bin/python -m pytest -n 2 $(CURDIR)/test/perception $(CURDIR)/test/node $(CURDIR)/test/pages

bench: build  ## measure the node over DDS (ARGS="…" for `caer bench node`)
	$(VENV)/bin/caer bench node $(ARGS)

# Of these pins only empy, in pure Python, is published without wheels.
RESOLVE := $(UV) pip compile -q --only-binary :all: --no-binary empy --python-platform linux -o /dev/null
lint: build  ## ruff, mypy, package.xml, and that the pins resolve for every Python
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m mypy
	$(RUN) -c 'from catkin_pkg.package import parse_package; parse_package("package.xml").validate()'
	for version in 3.10 3.11 3.12 3.13; do $(RESOLVE) --python-version $$version requirements/dev.txt; done
	for version in 3.10 3.11 3.12; do $(RESOLVE) --python-version $$version requirements/robot.txt; done

LOCK := pip compile -q --universal --python-version 3.10 setup.cfg --extra cpu --extra opencv --extra ros
lock: $(VENV)/.installed  ## write requirements/*.txt anew; ARGS=--upgrade takes the newest of all
	$(UV) $(LOCK) --extra offline $(ARGS) --custom-compile-command 'make lock' requirements/dev.in -o requirements/dev.txt
	$(UV) $(LOCK) $(ARGS) --custom-compile-command 'make lock' requirements/robot.in -o requirements/robot.txt

build: $(VENV)/.built  ## create .venv, and build the messages into it

clean:  ## remove everything that was built or downloaded
	rm -rf $(VENV) build dist log install *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .coverage*

# --- The environment, in three steps that are repeated only when something they rest on has changed ---
# Not `uv pip sync`: it would remove the message packages, which come inside other wheels.

identity = $(shell $(1) -ISc 'import sys; print(sys.base_prefix, sys.hexversion)' 2>/dev/null)
ifneq ($(call identity,$(PYTHON)),$(call identity,$(RUN)))
.PHONY: $(VENV)/.python
endif

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || { \
		echo "caer_ros needs Python 3.10 to 3.13, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." \
			"Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "$(PYTHON) cannot create environments. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	rm -rf $(VENV) build
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q --disable-pip-version-check -c requirements/dev.txt uv
	$(RUN) -ISc 'import sys; print(sys._base_executable)' > $@

$(VENV)/.installed: requirements/dev.txt $(VENV)/.python
	$(UV) pip install -q --python $(RUN) -r requirements/dev.txt
	touch $@

$(VENV)/.built: $(VENV)/.installed CMakeLists.txt package.xml pyproject.toml setup.cfg setup.py caer_ros/__init__.py \
		$(wildcard msg/*.msg srv/*.srv)
	$(UV) pip install -q --python $(RUN) --no-build-isolation --no-deps --reinstall-package caer_ros -e .
	touch $@
