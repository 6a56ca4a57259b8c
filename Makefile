# The menu. `make help` lists it; what CI runs, anybody can run.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run build images test go-test rust-test lint bench bench-million bench-cluster fuzz chaos planted model e2e cluster clean
ARGS ?=
TIME ?= 30s

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12

run: ## Build, run the whole pipeline here and show three jobs (ONCE=1 exits by itself; ARGS='--data D ...')
	@scripts/build
	@exec bin/tallyman dev --demo $(if $(ONCE),--once) $(ARGS)

build: ## Build bin/tallyman, the four programs and bin/processor
	@scripts/build

images: ## Build the container images without Docker and push them (REGISTRY=host:port/prefix, or TAR=folder for archives; ONLY=api,.. OUT=images.yaml, values for the chart; VERSION=1.2.3)
	@go run -C images . $(if $(TAR),--tar '$(abspath $(TAR))',--push) $(if $(REGISTRY),--registry '$(REGISTRY)') \
	  $(if $(ONLY),--only '$(ONLY)') $(if $(OUT),--out '$(abspath $(OUT))') $(if $(VERSION),--version '$(VERSION)')

test: ## Install what the tests need, and run all of them
	@scripts/test

go-test: ## The Go tests alone, with the race detector
	@scripts/go-test

rust-test: ## The Rust tests alone
	@scripts/rust-test

lint: ## gofmt, go mod tidy, go vet for Linux and macOS, rustfmt, clippy, golangci-lint
	@scripts/lint

bench: ## Measure everything beside a reference, print a table, write bench.json
	@scripts/build
	@go run ./test/bench

bench-million: ## Measure a million finished jobs in one aggregator and one api, write bench-million.json (some minutes, 5 GiB of disk)
	@scripts/build
	@go run ./test/bench million

bench-cluster: ## Measure on a real Kubernetes what a job waits for, print a table, write bench-cluster.json (Linux, root)
	@test/cluster/run bench

fuzz: ## Run every fuzz target for a while (TIME=30s)
	@scripts/fuzz $(TIME)

chaos: ## Let random faults loose on the real programs (SEEDS=200; SEED=n, the one that failed, again; PARALLEL=4; ONLY='mute pods>nats,pause api')
	@scripts/build
	@$(if $(SEED),TALLYMAN_TEST_SEED='$(SEED)') $(if $(SEEDS),TALLYMAN_CHAOS_SEEDS='$(SEEDS)') $(if $(ONLY),TALLYMAN_CHAOS_ONLY='$(ONLY)') \
	  go test -count=1 -timeout 0 -v -parallel $(or $(PARALLEL),4) -run TestChaos ./test/chaos

planted: ## Plant faults in copies of the programs, and see that chaos finds each (10 minutes, the first time 20; PLANT='no fence' for one; SEED=n)
	@scripts/build
	@$(if $(SEED),TALLYMAN_TEST_SEED='$(SEED)') TALLYMAN_CHAOS_PLANTED='$(or $(PLANT),all)' \
	  go test -count=1 -timeout 0 -v -run TestPlantedFaultsAreFoundInTheRealPrograms ./test/chaos

model: ## Explore the protocol's model in the large (some minutes, and 4 GB)
	@TALLYMAN_MODEL=long go test -count=1 -timeout 30m -v -run TestNothingGoesWrong ./test/model

e2e: ## The tests on a real Kubernetes, made from nothing and gone afterwards (Linux, root; RUN=name for one; KUBERNETES=v1.34.4 for another)
	@$(if $(KUBERNETES),TALLYMAN_CLUSTER_KUBERNETES='$(KUBERNETES)') test/cluster/run e2e '$(value RUN)'

cluster: ## A shell in such a Kubernetes, with Tallyman installed
	@test/cluster/run shell

clean: ## Remove what was built, and the data of `make run`
	rm -rf bin .tallyman rust-processor/target rust-processor/fuzz/target bench.json bench-million.json bench-cluster.json
