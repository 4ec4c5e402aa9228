package authz

import (
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status/listeners"
)

// Parts is what an Authority is made of.
type Parts struct {
	grants.Parts
	Directory *clients.Registry
	Clients   *clients.Authenticator
	Consents  *consents.Consents
	Cuts      *revocation.Cuts
	Listeners listeners.Store
	Notes     Notes
}

// Authority is the authorization server without its HTTP.
type Authority struct {
	Parts
	grants *grants.Types
}

// New composes an authority.
func New(p Parts) *Authority { return &Authority{p, grants.New(p.Parts)} }
