# The commands of this repository. Needs Python 3.11 and make; everything else comes into .venv.

PYTHON ?= python3.11
VENV := .venv
INSTALLED := $(VENV)/.installed
AWS_CLI := $(VENV)-aws-cli
BENCHMARKS := $(VENV)-benchmarks
SAGEMAKER_SDK := $(VENV)-sagemaker-sdk
CHECKOV := $(VENV)-checkov

.DEFAULT_GOAL := help
.PHONY: help demo demo-automatic test image-test load-test sdk-test template-test check format clean

help: ## Show what can be typed
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-15s %s\n", $$1, $$2}'

demo: $(INSTALLED) ## Run the whole job on this machine: no AWS account, no Docker
	@$(VENV)/bin/python -m local_aws demo

demo-automatic: $(INSTALLED) ## Deploy the queue on this machine, send requests, take it down
	@$(VENV)/bin/python -m local_aws demo-automatic

# Two workers, for tests wait half their time; threads that wait for each other must then leave the
# cores to whoever computes. Files in their order: each worker goes through one folder after the
# other, and starts a folder's servers when it gets there.
test: check $(AWS_CLI)/.installed ## Lint, then run every test
	OMP_WAIT_POLICY=PASSIVE $(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

image-test: $(INSTALLED) ## Build the container's image and run it as SageMaker does
	$(VENV)/bin/python -m pytest image_test

load-test: $(INSTALLED) ## Keep the container's server busy for half an hour
	$(VENV)/bin/python -m tests.custom_container.load --minutes 30

sdk-test: $(INSTALLED) $(SAGEMAKER_SDK)/.installed ## Divide files and launch training with SageMaker's SDK
	$(VENV)/bin/python -m pytest tests/custom_container/test_sdk_splitters.py \
		tests/fine_tuning/test_launch_with_sdk.py

template-test: $(INSTALLED) $(CHECKOV)/.installed ## Check the CloudFormation template, its security too
	$(VENV)/bin/python -m pytest tests/automatic/test_template.py

bench: $(BENCHMARKS)/.installed ## Measure the inference core beside its peers; needs a calm machine
	$(BENCHMARKS)/bin/python -m benchmarks.inference_core

check: $(INSTALLED) ## Lint and check the format
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

format: $(INSTALLED) ## Format the code
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean: ## Remove what the other commands made
	rm -rf $(VENV) $(AWS_CLI) $(BENCHMARKS) $(SAGEMAKER_SDK) $(CHECKOV) .local_aws demo_output model.tar.gz .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): requirements.txt requirements-local-aws.txt requirements-training.txt \
		requirements-development.txt custom_container/requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --requirement requirements-development.txt
	@touch $@

$(AWS_CLI)/.installed: requirements-aws-cli.txt
	$(PYTHON) -m venv $(AWS_CLI)
	$(AWS_CLI)/bin/python -m pip install --quiet --requirement requirements-aws-cli.txt
	@touch $@

$(SAGEMAKER_SDK)/.installed: requirements-sagemaker-sdk.txt
	$(PYTHON) -m venv $(SAGEMAKER_SDK)
	$(SAGEMAKER_SDK)/bin/python -m pip install --quiet --requirement requirements-sagemaker-sdk.txt
	@touch $@

$(CHECKOV)/.installed: requirements-checkov.txt
	$(PYTHON) -m venv $(CHECKOV)
	$(CHECKOV)/bin/python -m pip install --quiet --requirement requirements-checkov.txt
	@touch $@

$(BENCHMARKS)/.installed: requirements-benchmarks.txt requirements.txt custom_container/requirements.txt
	$(PYTHON) -m venv $(BENCHMARKS)
	$(BENCHMARKS)/bin/python -m pip install --quiet --requirement requirements-benchmarks.txt
	@touch $@
