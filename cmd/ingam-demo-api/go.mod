module github.com/ingam/ingam/cmd/ingam-demo-api

go 1.26.0

require (
	github.com/go-jose/go-jose/v4 v4.1.9
	github.com/ingam/ingam/verify v0.0.0
	github.com/rs/cors v1.11.1
)

// They are in one repository, and of one commit.
replace github.com/ingam/ingam/verify => ../../verify
