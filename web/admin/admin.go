package admin

import (
	"context"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
)

// Path is where the API is, below the issuer.
const Path = "/admin/v1"

// Parts is what the API works with. A command fills in what it needs.
type Parts struct {
	// Issuer is the URL of the server.
	Issuer string
	// Version is that of the binary.
	Version string
	// Bearer returns who calls with an access token, or an error: protocol.InvalidToken
	// for one that is not good. It is nil within a command, where nobody has a token.
	Bearer func(ctx context.Context, token string) (administration.Caller, error)
	// Settle waits until every process must know of a change.
	Settle func(ctx context.Context)
	// Failed is told the cause of each fault; the caller is not.
	Failed func(ctx context.Context, err error)
	Now    func() time.Time

	// AccessTTL is the life of access tokens for an API that has none of its own.
	AccessTTL time.Duration

	Cursors Cursors
	APIs    *administration.APIs
	Clients *administration.Clients
	Keys    *administration.Keys
	Audit   *administration.Audit
	Apply   *administration.Apply
	Users   *administration.Users
	// LinkOf returns the address of the link with that token, by which a user sets a
	// password.
	LinkOf func(token string) string
	// Sessions are the login sessions.
	Sessions  *sessions.Sessions
	Overviews *administration.Overviews
	Grants    *grants.Search
	Cuts      *administration.Cuts
	Access    Access
}

func init() {
	// They are global in the library, and this is the only package that uses it.
	huma.NewError = newProblem
	huma.ValidateStrictCasing = true
	huma.DefaultArrayNullable = false
}

// schemaName returns the name of a type in the document: that of the type, unless clients
// that are generated from the document have that name for themselves.
func schemaName(t reflect.Type, hint string) string {
	switch t {
	case reflect.TypeFor[Client]():
		return "RegisteredClient"
	case reflect.TypeFor[NewClient]():
		return "ClientRegistration"
	}
	return huma.DefaultSchemaNamer(t, hint)
}

// New returns the API's handler for requests whose paths begin with base, which is the
// path of the issuer, and Path.
func New(p Parts, base string) http.Handler {
	mux := http.NewServeMux()
	registry := huma.NewMapRegistry("#/components/schemas/", schemaName)
	registry.RegisterTypeAlias(reflect.TypeFor[administration.Nullable[string]](), reflect.TypeFor[*string]())
	registry.RegisterTypeAlias(reflect.TypeFor[administration.Nullable[bool]](), reflect.TypeFor[*bool]())
	registry.RegisterTypeAlias(reflect.TypeFor[administration.Nullable[map[string]any]](), reflect.TypeFor[*map[string]any]())
	api := humago.NewWithPrefix(mux, base+Path, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Ingam administration", Version: p.Version},
			Servers: []*huma.Server{{URL: p.Issuer + Path}},
			Components: &huma.Components{
				Schemas:         registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{scheme: {Type: "http", Scheme: "bearer", BearerFormat: "at+jwt"}},
			},
		},
		OpenAPIPath:                  "/openapi",
		Formats:                      map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
	s := surface{api, p}
	apiOperations{p.APIs, s}.add()
	clientOperations{p.Clients, s}.add()
	keyOperations{p.Keys, s}.add()
	auditOperations{p.Audit, s}.add()
	applyOperations{p.Apply, s}.add()
	userOperations{p.Users, s}.add()
	sessionOperations{p.Sessions, p.Users, s}.add()
	overviewOperations{p.Overviews, s}.add()
	grantOperations{p.Grants, s}.add()
	accessOperations{p.Access, s}.add()
	cutOperations{p.Cuts, s}.add()
	mux.HandleFunc(base+Path+"/", s.nothing)
	return mux
}

// surface is the API while its operations are added, and what all of them use.
type surface struct {
	huma.API
	parts Parts
}
