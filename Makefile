# Everything here needs only Python 3.9-3.13 and make; a C++ compiler builds the custom ops.
# `make` lists the targets. PYTHON chooses the interpreter and with it the stack: make test PYTHON=python3.13

PYTHON ?= python3
VERSION := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
LOCK := $(if $(filter 3.9 3.10 3.11,$(VERSION)),requirements.lock,$(if $(filter 3.12 3.13,$(VERSION)),requirements-py312.lock))
VENV := $(if $(filter python3,$(PYTHON)),.venv,.venv-$(VERSION))
BIN := $(VENV)/bin
LOCKED := $(VENV)/.locked-$(VERSION)
INSTALLED := $(VENV)/.installed
BUILT := $(VENV)/.built
RUN := runs/shapes
PEERS := .venv-peers
# Arguments of pytest: make test TESTS="tests/ops -k gradient"
TESTS ?=

FOUND = $(if $(VERSION),$(PYTHON) is Python $(VERSION),$(PYTHON) does not start)
define WRONG_PYTHON
$(FOUND); lhrcnn runs on Python 3.9 to 3.13: name one, as in `make $(firstword $(MAKECMDGOALS)) PYTHON=python3.11`
endef
define NO_VENV
$(PYTHON) cannot make virtual environments; install its venv module (Debian, Ubuntu: apt install python$(VERSION)-venv)
endef
# Runs pip in the environment; silent unless it fails.
PIP = "$(BIN)/python" -m pip install --quiet --disable-pip-version-check
QUIETLY = >"$(VENV)/pip.log" 2>&1 || { cat "$(VENV)/pip.log" >&2; exit 1; }

.PHONY: help venv style test demo peers benchmarks clean

help:  ## list the targets
	@echo "make TARGET [PYTHON=python3.13]"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

venv: $(BUILT)  ## make .venv (or .venv-X.Y for PYTHON=pythonX.Y), install lhrcnn into it, build the op
	@echo "$(VENV) is ready: $(BIN)/lhrcnn"

style: $(INSTALLED)  ## ruff's formatting and rules
	"$(BIN)/ruff" format --check .
	"$(BIN)/ruff" check --quiet .

test: $(BUILT)  ## the same, then all tests; TESTS="tests/ops -x" chooses
	"$(BIN)/python" -m pytest -n auto --dist loadfile --no-loadscope-reorder $(TESTS)

demo: $(BUILT)  ## the same, then train on the embedded data set, evaluate, export and draw detections
	"$(BIN)/lhrcnn" train --config configs/light_head_xception_shapes.yaml --run_dir $(RUN)
	"$(BIN)/lhrcnn" eval --run_dir $(RUN)
	"$(BIN)/lhrcnn" export --run_dir $(RUN) --output $(RUN)/export --overwrite
	"$(BIN)/lhrcnn" predict --run_dir $(RUN) --output $(RUN)/images --score_threshold 0.5 datasets/shapes/val/00000*.jpg
	@echo "Trained model: $(RUN)   SavedModel: $(RUN)/export   images: $(RUN)/images   curves: $(BIN)/tensorboard --logdir $(RUN)"

peers: $(PEERS)/.installed  ## make .venv-peers with PyTorch and torchvision, which the benchmarks compare with (Python 3.10 to 3.13)

benchmarks: $(BUILT) $(PEERS)/.installed  ## measure speed against the peers and write docs/speed.md: half an hour on an idle machine. make benchmarks DATA=VOCdevkit times training and its input too
	"$(BIN)/python" benchmarks/run_all.py $(if $(DATA),--data_dir "$(DATA)")

clean:  ## remove environments and build outputs; runs/ and datasets/ stay
	rm -rf .venv .venv-3.* $(PEERS) build dist *.egg-info .pytest_cache
	find lhrcnn tests benchmarks custom_ops -name __pycache__ -prune -exec rm -rf {} +

$(PEERS)/.installed:
	@"$(PYTHON)" -m venv --clear "$(PEERS)"
	@"$(PEERS)/bin/python" -m pip install --quiet --disable-pip-version-check torch==2.14.1 torchvision==0.29.1 numpy
	@touch "$@"

$(LOCKED): $(LOCK)
	$(if $(LOCK),,$(error $(WRONG_PYTHON)))
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo '$(NO_VENV)' >&2; exit 1; }
	@echo "Installing $(LOCK) into $(VENV) for Python $(VERSION): TensorFlow is large, this takes minutes the first time"
	@"$(PYTHON)" -m venv --clear "$(VENV)"
	@$(PIP) -r $(LOCK) $(QUIETLY)
	@touch "$@"

$(INSTALLED): $(LOCKED) setup.py pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --editable . $(QUIETLY)
	@touch "$@"

$(BUILT): $(INSTALLED) $(wildcard custom_ops/*/*.h custom_ops/*/*.cc custom_ops/*/*.cu)
	@"$(BIN)/lhrcnn" build-ops || echo "The custom op was not built; stock TensorFlow ops take its place (same results, slower)" >&2
	@touch "$@"
