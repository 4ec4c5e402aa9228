package authz_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/storage/storagetest"
)

// tokenEndpoints are the endpoints that are asked about tokens, in a House.
type tokenEndpoints struct {
	*grantstest.House
	registry      *clients.Registry
	introspection *authz.Introspector
	userInfo      *authz.UserInfo
	revocation    *authz.Revoker
	firstParty    *authz.FirstParty
	app           clients.Presented
	// asked is called when the grant types ask for the time.
	asked func()
}

// newTokenEndpoints has a confidential client "app".
func newTokenEndpoints(t *testing.T) *tokenEndpoints {
	t.Helper()
	h := grantstest.New(t)
	e := &tokenEndpoints{House: h, asked: func() {}}
	p := h.Types.Parts
	p.Now = func() time.Time { e.asked(); return h.Now() }
	types := grants.New(p)
	registry := p.Rules.Clients
	authenticator := clients.NewAuthenticator(registry, 100, time.Minute, h.Now)
	h.Client("app")
	_, secret, err := registry.AddSecret(t.Context(), "app", "", "", audit.Server)
	h.Must(err)
	h.User("minji")
	e.registry, e.app = registry, clients.Presented{ID: "app", Secret: secret}
	e.introspection = authz.NewIntrospector(authenticator, p.Issuer, registry, p.Rules, types, p.Cuts)
	e.userInfo = authz.NewUserInfo(p.Issuer, registry, p.Rules, p.Users, p.Cuts)
	e.revocation = authz.NewRevoker(authenticator, p.Issuer, types, p.Cuts)
	e.firstParty = authz.NewFirstParty(authenticator, p.Issuer, types, h.Store, p.Cuts, sessions.New(h.Store, time.Hour, time.Hour, h.Now))
	return e
}

func TestATokenEndsWithItsSessionOnceTheClientMayNotOutliveIt(t *testing.T) {
	t.Parallel()
	e := newTokenEndpoints(t)
	scopes := func(edit func([]string) []string) {
		t.Helper()
		_, _, err := e.registry.Update(t.Context(), "app", func(c *clients.Client) error { c.Scopes = edit(slices.Clone(c.Scopes)); return nil }, "", audit.Server)
		e.Must(err)
	}
	without := func(all []string) []string {
		return slices.DeleteFunc(all, func(s string) bool { return s == apis.OfflineAccess })
	}
	with := func(all []string) []string { return append(all, apis.OfflineAccess) }
	for what, permissions := range map[string][]permission.Permission{
		"recorded":         {{Scope: "openid"}, {Scope: apis.OfflineAccess}, {Audience: "https://api.test", Scope: "read"}},
		"of a time before": nil,
	} {
		in := e.SignIn("minji")
		issued, err := e.Redeem(e.Again("app"), e.Code(in, "app", func(c *grants.Code) {
			c.Scopes, c.Permissions = []string{"openid", apis.OfflineAccess, "read"}, permissions
		}))
		e.Must(err)
		// The token itself need not say offline_access.
		less, err := e.Refresh(e.Again("app"), issued.RefreshToken, "scope", "openid read")
		e.Must(err)
		good := func(when string, want bool) {
			t.Helper()
			for _, token := range []string{issued.AccessToken, less.AccessToken} {
				if answer, err := e.introspection.Introspect(t.Context(), e.app, token); err != nil || answer.Active != want {
					t.Errorf("%s, %s: introspection says %t, %v", what, when, answer.Active, err)
				}
				_, _, err := e.userInfo.Claims(t.Context(), token)
				if want && err != nil {
					t.Errorf("%s, %s: userinfo says %v", what, when, err)
				}
				if !want {
					wantRefused(t, what+", "+when+": userinfo", err, protocol.InvalidToken)
				}
			}
		}
		good("signed in", true)
		scopes(without)
		good("signed in, without the scope", true)
		e.Must(e.Store.EndSession(t.Context(), "minji", in.SessionID, audit.Event{At: e.Now()}))
		good("signed out, without the scope", false)
		if _, err := e.Refresh(e.Again("app"), less.RefreshToken); err == nil {
			t.Errorf("%s: it can be refreshed", what)
		}
		scopes(with)
		good("signed out, with the scope given back", true)
	}
}

func TestATokenWhoseGrantIsNotThereYetIsNotRevokedAlready(t *testing.T) {
	t.Parallel()
	e := newTokenEndpoints(t)
	app := e.Again("app")
	begun := func() (issued grants.Issued, move func(away bool)) {
		t.Helper()
		issued, err := e.Redeem(app, e.Code(e.SignIn("minji"), "app"))
		e.Must(err)
		// As in a database that has not got the grant yet.
		return issued, func(away bool) {
			from, to := "away "+issued.Access.GrantID, issued.Access.GrantID
			if away {
				from, to = to, from
			}
			storagetest.Exec(t, e.URL, "UPDATE grants SET id = '"+to+"' WHERE id = '"+from+"'")
		}
	}
	revoke := func(token string) error { _, err := e.revocation.Revoke(t.Context(), e.app, token); return err }
	for what, end := range map[string]func(grants.Issued) error{
		"revoking a refresh token": func(i grants.Issued) error { return revoke(i.RefreshToken) },
		"revoking an access token": func(i grants.Issued) error { return revoke(i.AccessToken) },
		"signing out":              func(i grants.Issued) error { return e.firstParty.SignOut(t.Context(), app, i.RefreshToken) },
	} {
		issued, move := begun()
		move(true)
		wantRefused(t, what+", away", end(issued), protocol.TemporarilyUnavailable)
		var once sync.Once
		e.asked = func() { once.Do(func() { move(false) }) } // after it was read for the first time
		if err := end(issued); err != nil {
			t.Errorf("%s, late: %v", what, err)
		}
		e.asked = func() {}
		if _, err := e.Refresh(app, issued.RefreshToken); err == nil {
			t.Errorf("%s: it can be refreshed", what)
		}
		old, move := begun()
		move(true)
		e.Later(2 * time.Minute)
		if err := end(old); err != nil {
			t.Errorf("%s, of a grant that is gone: %v", what, err)
		}
	}
}
