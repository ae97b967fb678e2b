# make demo   sets itself up, then: data set -> network -> C -> firmware -> emulated board -> report
# make test   sets itself up, then runs every test that needs no hardware
# make hil    the tests of targets, TARGET=renode (docs/renode.md), "renode renode_h743" or a board
# make lint   ruff, mypy, cppcheck, clang-format
PYTHON ?= python3
VENV := .venv
EISHIL := $(VENV)/bin/eishil
RECIPE := datasets/recipes/first_light.toml
TARGET := renode
FUZZ_s := 60
CPPCHECK := --quiet --max-configs=40 --std=c11 --enable=warning,style,performance,portability --error-exitcode=1 --inline-suppr \
	--suppress=missingIncludeSystem --suppress=constStatement:firmware/core/nn_kernel_*.c \
	-Ifirmware/core -Ifirmware/generated

.PHONY: demo test hil lint coverage fuzz setup system-tools clean
.DELETE_ON_ERROR:

demo: setup
	$(EISHIL) run $(RECIPE) --target qemu

test: setup
	$(VENV)/bin/python -m pytest -n 2 --dist loadgroup

hil: setup
	$(VENV)/bin/python -m pytest tests/hil $(addprefix --target ,$(TARGET))

# Coverage of firmware/core under its tests; fails below 95 % of lines and 90 % of branches.
coverage: setup
	$(VENV)/bin/python tests/core/coverage.py

# libFuzzer on the frame decoder and on the step, FUZZ_s seconds each.
fuzz:
	@PYTHON="$(PYTHON)" sh bench/install_system_tools.sh fuzz
	sh firmware/fuzz/run.sh $(FUZZ_s)

lint: setup
	@PYTHON="$(PYTHON)" sh bench/install_system_tools.sh lint
	$(VENV)/bin/ruff check host bench tests
	$(VENV)/bin/ruff format --check host bench tests
	$(VENV)/bin/mypy
	cppcheck $(CPPCHECK) firmware/core
	$(VENV)/bin/clang-format --dry-run --Werror $(wildcard firmware/core/*.[ch] firmware/app/*.[ch] firmware/example/*.[ch] bench/emulation/*/*.[ch] firmware/port/*.h firmware/port/*/*.[ch] firmware/port/*/*/*.[ch])

setup: system-tools $(VENV)/.ready

# The console script stands in the checkout's own environment; nothing is installed outside of it.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "eishil needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

system-tools:
	@PYTHON="$(PYTHON)" sh bench/install_system_tools.sh

clean:
	rm -rf build .pio
