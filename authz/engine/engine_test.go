package engine_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/engine"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/protocol"
)

func ask(e *engine.Engine, ctx context.Context, client *clients.Client, grantType string, parameters url.Values) (grants.Issued, error) {
	return e.Token(ctx, grants.Request{Client: client, GrantType: grantType, Parameters: parameters})
}

func TestTheEngineIssuesWhatAGrantTypeDoes(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	e := engine.New(h.Types)
	app := h.Client("app")
	h.User("minji")
	own, err := ask(e, t.Context(), app, clients.ClientCredentials, url.Values{"scope": {"read"}, "resource": {"https://roles.test"}})
	h.Must(err)
	if own.AccessToken == "" || own.RefreshToken+own.IDToken != "" || own.Scope() != "read" || own.ExpiresIn() != 15*time.Minute || own.Access.Subject != "app" {
		t.Errorf("%+v", own)
	}
	code := h.Code(h.SignIn("minji"), "app")
	redeemed, err := ask(e, t.Context(), app, clients.AuthorizationCode, url.Values{"code": {code}, "redirect_uri": {grantstest.Callback}, "code_verifier": {grantstest.Verifier}})
	h.Must(err)
	if redeemed.AccessToken == "" || redeemed.RefreshToken == "" || redeemed.IDToken == "" || redeemed.Access.Subject != "minji" {
		t.Errorf("%+v", redeemed)
	}
	refreshed, err := ask(e, t.Context(), app, clients.RefreshToken, url.Values{"refresh_token": {redeemed.RefreshToken}})
	h.Must(err)
	if refreshed.RefreshToken == redeemed.RefreshToken || refreshed.Access.GrantID != redeemed.Access.GrantID {
		t.Errorf("%+v", refreshed)
	}
	for what, issued := range map[string]grants.Issued{"client credentials": own, "a code": redeemed, "a refresh": refreshed} {
		read, err := h.Types.Issuer.ReadAccess(t.Context(), issued.AccessToken)
		if err != nil || read.ID != issued.Access.ID || read.Status != issued.Access.Status {
			t.Errorf("%s: %+v %v", what, read, err)
		}
	}
}

func TestTheEngineRefusesInTheOrderOfTheChecks(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	e := engine.New(h.Types)
	app := h.Client("app")
	codes := h.Client("codes", func(c *clients.Client) { c.Grants = []string{clients.AuthorizationCode} })
	public := h.Client("public", func(c *clients.Client) {
		c.Grants, c.Auth = []string{clients.AuthorizationCode}, clients.None
	})
	// This client was registered in a way that is no longer possible.
	odd := *public
	odd.Grants = []string{clients.ClientCredentials}
	disabled := h.Client("disabled")
	h.Must(h.Store.SetClientDisabled(t.Context(), "disabled", true, audit.Event{At: h.Now(), Actor: audit.Operator("test"), Action: audit.UserCut}))
	for what, c := range map[string]struct {
		client     *clients.Client
		grantType  string
		parameters url.Values
		want       protocol.Code
	}{
		"a grant type that there is not":      {app, "password", nil, protocol.UnsupportedGrantType},
		"two grant types":                     {app, "client_credentials refresh_token", nil, protocol.UnsupportedGrantType},
		"one with a space":                    {app, "client_credentials ", nil, protocol.UnsupportedGrantType},
		"one that the client may not use":     {codes, clients.ClientCredentials, nil, protocol.UnauthorizedClient},
		"a public client's own":               {public, clients.ClientCredentials, nil, protocol.UnauthorizedClient},
		"a public client's, registered so":    {&odd, clients.ClientCredentials, nil, protocol.InvalidGrant},
		"that, before what is asked for":      {codes, clients.ClientCredentials, url.Values{"scope": {"nothing"}}, protocol.UnauthorizedClient},
		"a scope that the client may not ask": {app, clients.ClientCredentials, url.Values{"scope": {"nothing"}}, protocol.InvalidScope},
		"a malformed scope":                   {app, clients.ClientCredentials, url.Values{"scope": {`"`}}, protocol.InvalidScope},
		"another resource":                    {app, clients.ClientCredentials, url.Values{"resource": {"https://other.test"}}, protocol.InvalidTarget},
		"a resource before a scope":           {app, clients.ClientCredentials, url.Values{"resource": {"https://other.test"}, "scope": {"nothing"}}, protocol.InvalidTarget},
		"a code that there is not":            {app, clients.AuthorizationCode, url.Values{"code": {"x"}}, protocol.InvalidGrant},
		"no refresh token":                    {app, clients.RefreshToken, nil, protocol.InvalidRequest},
		"one that was disabled meanwhile":     {disabled, clients.ClientCredentials, nil, protocol.InvalidClient},
	} {
		issued, err := ask(e, t.Context(), c.client, c.grantType, c.parameters)
		var refused *protocol.Error
		if !errors.As(err, &refused) || refused.Code != c.want || issued.AccessToken != "" {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
	}
}

func TestAFaultIsNoVerdict(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	e := engine.New(h.Types)
	app := h.Client("app")
	h.User("minji")
	code := h.Code(h.SignIn("minji"), "app")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for grantType, parameters := range map[string]url.Values{
		clients.ClientCredentials: nil, clients.AuthorizationCode: {"code": {code}, "redirect_uri": {grantstest.Callback}, "code_verifier": {grantstest.Verifier}},
	} {
		_, err := ask(e, gone, app, grantType, parameters)
		if got := protocol.From(err); got.Code != protocol.TemporarilyUnavailable {
			t.Errorf("%s: %v", grantType, err)
		}
	}
}
