package authz_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
)

// presented registers a client and returns what it shows.
func (e *tokenEndpoints) presented(id string, change func(*clients.Client)) clients.Presented {
	e.Helper()
	c := clients.Client{ID: id, Name: id, Auth: clients.SecretBasic}
	change(&c)
	_, secret, err := e.registry.Create(e.Context(), c, "", "", audit.Server)
	e.Must(err)
	return clients.Presented{ID: id, Secret: secret}
}

func TestIntrospectionIsForWhoTheTokenIsFor(t *testing.T) {
	t.Parallel()
	e := newTokenEndpoints(t)
	const api, roles = "https://api.test", "https://roles.test"
	_, err := e.APIs.Create(t.Context(), apis.API{Audience: "orders", Name: "Orders", Scopes: []string{"read"}}, "", audit.Server)
	e.Must(err)
	machine := []string{clients.ClientCredentials}
	token := func(client string, parameters ...string) string {
		t.Helper()
		issued, err := e.Ask(e.Again(client), clients.ClientCredentials, parameters...)
		e.Must(err)
		return issued.AccessToken
	}
	all := []string{api, roles, "orders"}
	e.presented("job", func(c *clients.Client) { c.Grants, c.Audiences, c.Scopes = machine, all, []string{"read", "write"} })
	issued, err := e.Redeem(e.Again("app"), e.Code(e.SignIn("minji"), "app"))
	e.Must(err)
	about := map[string]string{
		"api": token("job", "resource", api), "roles": token("job", "resource", roles), "orders": token("job", "resource", "orders"),
		"a user's at api": issued.AccessToken, "a user's refresh token": issued.RefreshToken,
	}
	for what, c := range map[string]struct {
		caller clients.Presented
		may    []string
	}{
		"the API":  {e.presented("is-api", func(c *clients.Client) { c.Introspects = []string{api} }), []string{"api", "a user's at api"}},
		"two APIs": {e.presented("is-two", func(c *clients.Client) { c.Introspects = []string{api, roles} }), []string{"api", "roles", "a user's at api"}},
		"an API that asks for tokens too": {e.presented("is-both", func(c *clients.Client) {
			c.Grants, c.Audiences, c.Scopes, c.Introspects = machine, []string{api}, []string{"read"}, []string{roles}
		}), []string{"roles"}},
		"who may ask for tokens":               {e.presented("asks", func(c *clients.Client) { c.Grants, c.Audiences, c.Scopes = machine, all, []string{"read"} }), nil},
		"an API by its id":                     {e.presented("orders", func(c *clients.Client) { c.Grants, c.Audiences = machine, []string{api} }), []string{"orders"}},
		"without grant type, by default":       {e.presented("only", func(c *clients.Client) { c.Audiences = []string{roles} }), []string{"roles"}},
		"without grant type, otherwise":        {e.presented("says", func(c *clients.Client) { c.Audiences, c.Introspects = []string{roles}, []string{api} }), []string{"api", "a user's at api"}},
		"without anything":                     {e.presented("none", func(*clients.Client) {}), nil},
		"whom the user's tokens are issued to": {e.app, []string{"a user's at api", "a user's refresh token"}},
	} {
		may := map[string]bool{}
		for _, name := range c.may {
			may[name] = true
		}
		for name, token := range about {
			answer, err := e.introspection.Introspect(t.Context(), c.caller, token)
			if err != nil || answer.Active != may[name] {
				t.Errorf("%s, about %s: %t, %v", what, name, answer.Active, err)
			}
			if diff := cmp.Diff(authz.Introspection{Caller: c.caller.ID}, answer); !may[name] && diff != "" {
				t.Errorf("%s, about %s: %s", what, name, diff)
			}
		}
	}
	// What is taken away is gone at the next request, and does not come back by itself.
	_, _, err = e.registry.Update(t.Context(), "only", func(c *clients.Client) error { c.Introspects = nil; return nil }, "", audit.Server)
	e.Must(err)
	_, secret, err := e.registry.AddSecret(t.Context(), "only", "", "", audit.Server)
	e.Must(err)
	if answer, err := e.introspection.Introspect(t.Context(), clients.Presented{ID: "only", Secret: secret}, about["roles"]); err != nil || answer.Active {
		t.Errorf("an API that a client was: %t, %v", answer.Active, err)
	}
}

// TestASignedAnswerIsNoToken: it is signed by the key that signs tokens, and says what they
// say.
func TestASignedAnswerIsNoToken(t *testing.T) {
	t.Parallel()
	e := newTokenEndpoints(t)
	issued, err := e.Redeem(e.Again("app"), e.Code(e.SignIn("minji"), "app"))
	e.Must(err)
	answer, err := e.introspection.Introspect(t.Context(), e.app, issued.AccessToken)
	e.Must(err)
	before := time.Now().Unix()
	signed, err := e.introspection.Signed(answer)
	e.Must(err)
	ring := e.APIs.Rings.(*keys.Keyring)
	got, err := ring.Verify(keys.Tokens, signed, tokens.IntrospectionType)
	e.Must(err)
	var claims map[string]any
	e.Must(json.Unmarshal(got.Payload, &claims))
	told, err := json.Marshal(answer)
	e.Must(err)
	var want any
	e.Must(json.Unmarshal(told, &want))
	if iat, is := claims["iat"].(float64); !is || int64(iat) < before {
		t.Errorf("it was issued at %v", claims["iat"])
	}
	delete(claims, "iat")
	if diff := cmp.Diff(map[string]any{"iss": grantstest.Issuer, "aud": "app", "token_introspection": want}, claims); diff != "" || !answer.Active {
		t.Errorf("-want +got\n%s", diff)
	}

	if answer, err := e.introspection.Introspect(t.Context(), e.app, signed); err != nil || answer.Active {
		t.Errorf("introspected: %t, %v", answer.Active, err)
	}
	_, _, err = e.userInfo.Claims(t.Context(), signed)
	wantRefused(t, "userinfo", err, protocol.InvalidToken)
	if _, err := e.Refresh(e.Again("app"), signed); err == nil {
		t.Error("it can be refreshed")
	}
	for _, typ := range []string{tokens.AccessType, tokens.IDType} {
		if _, err := ring.Verify(keys.Tokens, signed, typ); err == nil {
			t.Errorf("it passes for %s", typ)
		}
	}
	if _, err := ring.VerifyHint(signed, tokens.IDType); err == nil {
		t.Error("it passes for a hint")
	}
	if _, err := tokens.ParseAccess(got.Payload, grantstest.Issuer, ""); err == nil {
		t.Error("its claims pass for those of an access token")
	}
}
