# Each target is a command of the README.

TAGS = netgo osusergo sqlite_omit_load_extension
# What the binary says it was made from; empty where there is no repository.
VERSION = $(shell git describe --tags --dirty=+dirty 2>/dev/null)
COMMIT = $(shell git describe --always --exclude='*' --abbrev=40 --dirty=+dirty 2>/dev/null)
DATE = $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null)
STAMPS = -X main.stampedVersion=$(VERSION) -X main.stampedCommit=$(COMMIT) -X main.stampedDate=$(DATE)
# A binary that needs only libc: built on Debian 12, it runs with glibc 2.34 and later. It signs
# with the system's OpenSSL 3 where there is one.
LINKED = -trimpath -tags '$(TAGS)' -ldflags '-s -w $(STAMPS)'
# A binary that needs no shared library, can be copied anywhere, and signs with crypto/rsa.
STATIC = -trimpath -tags '$(TAGS) static' -ldflags '-s -w $(STAMPS) -linkmode external -extldflags -static'

.PHONY: demo build static test databases clusters strangers bench bench-peers lint vuln

demo:
	go run ./cmd/ingam serve --demo

build:
	go build $(LINKED) -o bin/ ./cmd/ingam
	go build -C cmd/ingam-demo-api $(STATIC) -o ../../bin/ .

# The repository is several Go modules, and "go test ./..." stops where another begins.
static:
	go build $(STATIC) -o bin/static/ ./cmd/ingam

test:
	.ci/each $(EACHFLAGS) go test $(TESTFLAGS) ./...

# PostgreSQL and MariaDB for the tests, until Ctrl-C; prints what to export.
databases:
	@.ci/databases

# A Galera cluster and PostgreSQL pairs, started by the tests, that lag and fail over.
clusters:
	go test -tags clusters -count=1 -run TestCluster ./storage

# Other people's applications sign a person in; installs them first. .ci/strangers/README.md
strangers:
	cd .ci/strangers && go test -count=1 -timeout 90m

bench:
	go test -run '^$$' -bench . -benchtime 3s ./authz/status/lists
	go test -C cmd/ingam/processes -run '^$$' -bench . -benchtime 3s -timeout 2h
	go test -C verify -run '^$$' -bench . -benchtime 3s

# Tokens per second beside those of another server, in one run.
bench-peers:
	cd cmd/ingam/testdata/peer && npm ci --no-audit --no-fund --silent
	go test -C cmd/ingam/processes -run '^$$' -bench Command/Peer -benchtime 1x

lint:
	test -z "$$(gofmt -l .)"
	.ci/each go vet ./...
	.ci/each go tool -modfile='$(CURDIR)/tools.mod' staticcheck ./...

vuln:
	.ci/each go tool -modfile='$(CURDIR)/tools.mod' govulncheck ./...
