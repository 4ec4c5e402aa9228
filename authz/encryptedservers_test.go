package authz_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
)

// another is a second server on the database of e, which has its own copy of the keys.
func (e *encrypted) another() *encrypted {
	e.Helper()
	p := e.Types.Parts
	ring := e.OtherRing()
	p.Issuer = tokens.NewIssuer(grantstest.Issuer, grantstest.Issuer+"/lists/", ring, e.Now)
	house := &grantstest.House{T: e.T, Store: e.Store, URL: e.URL, Types: grants.New(p), APIs: e.APIs}
	authenticator := clients.NewAuthenticator(e.registry, 100, time.Minute, e.Now)
	return &encrypted{private: e.private, ring: ring, api: e.api, tokenEndpoints: &tokenEndpoints{
		House: house, registry: e.registry, app: e.app,
		introspection: authz.NewIntrospector(authenticator, p.Issuer, e.registry, p.Rules, house.Types, p.Cuts),
		userInfo:      authz.NewUserInfo(p.Issuer, e.registry, p.Rules, p.Users, p.Cuts),
		revocation:    authz.NewRevoker(authenticator, p.Issuer, house.Types, p.Cuts),
	}}
}

// sealer returns the kid of the key that sealed what is in the header of a token.
func (e *encrypted) sealer(token string) string {
	e.Helper()
	kid, _, _ := strings.Cut(e.headerOf(token)["ing"].(string), ".")
	return kid
}

// ofClientBy returns a token of app itself, which this server makes.
func (e *encrypted) ofClientBy(app *clients.Client) string {
	e.Helper()
	issued, err := e.Ask(app, clients.ClientCredentials, "resource", secretAPI)
	e.Must(err)
	return issued.AccessToken
}

// TestAWithdrawnSealIsRefusedByAllServersAtOnce: who has the key can write what the server
// takes for its own. So no server may go by its copy of the keys, which is some seconds old.
func TestAWithdrawnSealIsRefusedByAllServersAtOnce(t *testing.T) {
	t.Parallel()
	one := newEncrypted(t)
	two := one.another()
	one.Must(two.ring.Reload(t.Context()))
	app := one.Again("app")
	servers := map[string]*encrypted{"one": one, "the other": two}
	before := map[string]string{"one": one.ofClientBy(app), "the other": two.ofClientBy(app)}
	users := one.ofUser().AccessToken
	withdrawn := one.sealer(users)
	for by, token := range before {
		for at, server := range servers {
			server.wantActive("made by "+by+", before, at "+at, token, true)
		}
	}
	command := one.OtherRing()
	one.Must(command.Reload(t.Context()))
	one.Must(command.Withdraw(t.Context(), withdrawn, keys.Intervention{Force: true}))

	before["of a user"] = users
	before["the other, after"] = two.ofClientBy(app) // it has not heard of it
	for by, token := range before {
		for at, server := range servers {
			server.wantActive("made by "+by+", at "+at, token, false)
		}
	}
	for at, server := range servers {
		one.Must(server.ring.Reload(t.Context()))
		token := server.ofClientBy(app)
		if one.sealer(token) == withdrawn {
			t.Errorf("%s seals with the withdrawn key", at)
		}
		one.wantActive("made by "+at+", at one", token, true)
		two.wantActive("made by "+at+", at the other", token, true)
	}
	for by, token := range before {
		for at, server := range servers {
			server.wantActive("in the end: made by "+by+", at "+at, token, false)
			if _, err := server.revocation.Revoke(t.Context(), server.app, token); err != nil {
				t.Errorf("revoking what was made by %s at %s: %v", by, at, err)
			}
		}
	}
}
