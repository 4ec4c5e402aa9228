# Each target is a command of the README.

# A binary that needs no shared library and can be copied anywhere.
TAGS = netgo osusergo sqlite_omit_load_extension
STATIC = -trimpath -tags '$(TAGS)' -ldflags '-s -w -linkmode external -extldflags -static'

.PHONY: demo build test databases bench lint vuln

demo:
	go run ./cmd/ingam serve --demo

build:
	go build $(STATIC) -o bin/ ./cmd/ingam ./cmd/ingam-demo-api

test:
	go test ./...

# PostgreSQL and MariaDB for the tests, until Ctrl-C; prints what to export.
databases:
	@.ci/databases

bench:
	go test -p 1 -run '^$$' -bench . -benchtime 3s ./cmd/ingam ./authz/status ./verify

lint:
	test -z "$$(gofmt -l .)"
	go vet ./...
	go tool -modfile=tools.mod staticcheck ./...

vuln:
	go tool -modfile=tools.mod govulncheck ./...
