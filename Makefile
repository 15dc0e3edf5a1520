# Plain make and Go are enough for demo, build and test; lint, vuln and examples fetch
# pinned tools.

GO          ?= go
PKG         ?= ./...
FUZZTIME    ?= 5m
GOLANGCI    := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.8.0

# One configuration for everything but race, so that Go compiles each package once for
# build, tests, benchmarks and linters.
export CGO_ENABLED := 0
export GOFLAGS     ?= -trimpath

# Some tests change owners, which only root may.
ROOT := $(if $(filter 0,$(shell id -u)),-tags root)

# The same sources give the same bytes, wherever they lie.
BUILD := $(GO) build -trimpath -buildvcs=false

.PHONY: help build demo test race lint vuln bench peers benchmarks fuzz examples interop slow reproducible clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

build: ## the programs, as bin/tocsin and bin/tocsin-verify
	$(BUILD) -o bin/ ./cmd/...

demo: build ## see it work: incidents of all four grades, and their way to the desks
	bin/tocsin demo

# Many tests wait, for a clock or the disk: more of them at once than there are
# processors, and their folders in memory where it has 4 GiB for them and runs programs.
# Without debug information (-w) linking a test takes 1.3 seconds instead of 2.2.
test: ## the tests
	@dir=$$(mktemp -d /dev/shm/tocsin-test-XXXXXX 2>/dev/null) && [ "$$(df -Pk "$$dir" | awk 'END { print $$4 }')" -gt 4194304 ] && \
		echo '#!/bin/sh' >"$$dir/runs" && chmod +x "$$dir/runs" && "$$dir/runs" || { rm -rf "$$dir"; dir=$$(mktemp -d); }; \
	trap 'rm -rf "$$dir"' EXIT; trap 'exit 1' INT TERM; \
	GOTMPDIR="$${GOTMPDIR:-$${TMPDIR:-/tmp}}" TMPDIR="$$dir" $(GO) test $(ROOT) -ldflags=-w -p 3 -parallel 6 -timeout 300s $(PKG)

# With -short properties are tried a fifth as often: "make test" tries them in full.
race: ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race $(ROOT) -ldflags=-w -short -timeout 600s $(PKG)

lint: ## gofmt, the linters of .golangci.yml and the rules of the tree
	@bad=$$(gofmt -l cmd internal schemas services); test -z "$$bad" || { echo "not formatted:"; echo "$$bad"; exit 1; }
	$(GO) run $(GOLANGCI) run ./...
	$(GO) test -timeout 60s ./internal/archtest

# govulncheck ends with 3 when it has found something, and with 1 when it could
# not look.
vuln: ## known vulnerabilities in what the program calls; says "not checked" when it cannot look
	@GOBIN="$(CURDIR)/bin" $(GO) install $(GOVULNCHECK) || { echo "vuln: not checked: $(GOVULNCHECK) cannot be had"; exit 0; }; \
	out=$$(bin/govulncheck ./... 2>&1); code=$$?; echo "$$out"; \
	case "$$code $$out" in \
	0*) ;; \
	1*"fetching vulnerabilities"*) echo "vuln: not checked: the database cannot be reached" ;; \
	*) exit $$code ;; \
	esac

bench: ## tocsin beside its peers and the bare engine: one table, in about five minutes
	cd internal/bench/peers && $(GO) run .

peers: ## the benchmark of the peers builds, and counts right (a module of its own)
	cd internal/bench/peers && $(GO) vet ./... && $(GO) test -timeout 180s ./...

benchmarks: ## every benchmark once, of several sizes the smallest
	$(GO) test -short -timeout 300s -run '^$$' -bench . -benchtime 1x $(PKG)

fuzz: ## every fuzz target for FUZZTIME (5m: all of them take three hours)
	@grep -rho --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal schemas services >/dev/null || { echo "no fuzz targets"; exit 1; }
	@grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' cmd internal schemas services | sed 's|/[^/]*:func | |' | \
	while read -r dir name; do \
		echo "$$dir $$name"; \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x "./$$dir" </dev/null || exit 1; \
	done

examples: build ## the examples of deploy/examples, against a server of their own (needs curl and node)
	deploy/examples/run.sh

interop: ## the log read by tools that others wrote, and a login with their provider, in modules of their own
	for module in internal/evidence/interop cmd/tocsin/interop; do (cd $$module && $(GO) vet ./... && $(GO) test -timeout 120s ./...) || exit 1; done

slow: ## the tests that take long: many kills, full disks (as root), many reports, many flipped bits
	TOCSIN_FLIPS=200 TOCSIN_KILLS=30 TOCSIN_REPORTS=6000 TOCSIN_OVERDUE=120 $(GO) test -tags slow -timeout 60m $(PKG)

reproducible: ## build twice, elsewhere and from nothing: the same bytes
	@work=$$(mktemp -d) && trap 'chmod -R u+w "$$work"; rm -rf "$$work"' EXIT && \
	mkdir "$$work/here" "$$work/there" && $(BUILD) -o "$$work/here" ./cmd/... && \
	mkdir "$$work/src" && cp -r go.mod go.sum cmd internal schemas services "$$work/src" && \
	(cd "$$work/src" && GOCACHE="$$work/cache" $(BUILD) -o "$$work/there" ./cmd/...) && \
	(cd "$$work" && sha256sum here/* there/*) && diff -r "$$work/here" "$$work/there" && echo "the same bytes"

clean: ## what make has made; never the data of a server
	rm -rf bin deploy/examples/javascript/node_modules
