# Each target is a command of the README.

# A binary that needs no shared library and can be copied anywhere.
TAGS = netgo osusergo sqlite_omit_load_extension
STATIC = -trimpath -tags '$(TAGS)' -ldflags '-s -w -linkmode external -extldflags -static'

.PHONY: demo build test databases strangers bench lint vuln

demo:
	go run ./cmd/ingam serve --demo

build:
	go build $(STATIC) -o bin/ ./cmd/ingam ./cmd/ingam-demo-api

test:
	go test ./...

# PostgreSQL and MariaDB for the tests, until Ctrl-C; prints what to export.
databases:
	@.ci/databases

# Other people's applications sign a person in; installs them first. .ci/strangers/README.md
strangers:
	cd .ci/strangers && go test -count=1 -timeout 90m

bench:
	go test -p 1 -run '^$$' -bench . -benchtime 3s ./cmd/ingam ./authz/status ./verify

lint:
	test -z "$$(gofmt -l .)"
	go vet ./...
	go tool -modfile=tools.mod staticcheck ./...

vuln:
	go tool -modfile=tools.mod govulncheck ./...
