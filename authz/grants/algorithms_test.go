package grants_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/permission"
)

// inToken returns a part of a token: its header (0) or its claims (1).
func inToken(t *testing.T, token string, part int) (m map[string]any) {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// offer registers an API whose tokens have an algorithm.
func offer(h *grantstest.House, audience, alg string) {
	h.Helper()
	_, err := h.APIs.Create(h.Context(), apis.API{Audience: audience, Name: audience, Scopes: []string{"use"}, Signing: apis.Signing{Alg: alg}}, "", audit.Operator("test"))
	h.Must(err)
}

func TestAnAPIGetsTokensOfItsAlgorithm(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	for _, alg := range apis.SigningAlgs() {
		audience := "https://" + strings.ToLower(alg) + ".test"
		offer(h, audience, alg)
		app := h.Client("app-"+alg, func(c *clients.Client) { c.Audiences, c.Scopes = []string{audience}, []string{"use"} })
		issued, err := h.Ask(app, clients.ClientCredentials)
		h.Must(err)
		if got := inToken(t, issued.AccessToken, 0)["alg"]; got != alg {
			t.Errorf("%s: the token is signed with %v", alg, got)
		}
		if read, err := h.Types.Issuer.ReadAccess(t.Context(), issued.AccessToken); err != nil || read.ID != issued.Access.ID {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestATokenIsForAPIsOfOneKind(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	const usual, curve, other = "https://api.test", "https://curve.test", "https://other.test"
	offer(h, curve, "ES256")
	offer(h, other, "ES256")
	app := h.Client("app", func(c *clients.Client) {
		c.Audiences, c.Scopes = []string{usual, curve, other}, []string{"openid", "read", "use"}
	})
	h.User("minji")
	all := func(c *grants.Code) {
		c.Scopes, c.Audiences = app.Scopes, app.Audiences
		c.Permissions = []permission.Permission{{Scope: "openid"}, {Audience: usual, Scope: "read"}, {Audience: curve, Scope: "use"}, {Audience: other, Scope: "use"}}
	}
	for what, c := range map[string]struct {
		parameters url.Values
		audience   string
		alg        string
	}{
		"nothing named":        {nil, usual, "RS256"},
		"the other one":        {url.Values{"resource": {curve}}, curve, "ES256"},
		"one of two alike":     {url.Values{"resource": {other}}, other, "ES256"},
		"the usual one":        {url.Values{"resource": {usual}}, usual, "RS256"},
		"unlike ones":          {url.Values{"resource": {usual, curve}}, "invalid_target", ""},
		"two with a curve":     {url.Values{"resource": {curve, other}}, "invalid_target", ""},
		"a scope of the first": {url.Values{"scope": {"read"}}, usual, "RS256"},
	} {
		issued, err := h.Redeem(app, h.Code(h.SignIn("minji"), "app", all))
		h.Must(err)
		if got := inToken(t, issued.AccessToken, 1)["aud"]; got != usual {
			t.Errorf("the first token is for %v", got)
		}
		parameters := url.Values{"refresh_token": {issued.RefreshToken}}
		maps.Copy(parameters, c.parameters)
		request := grants.Request{Client: app, GrantType: clients.RefreshToken, Parameters: parameters}
		refresh, err := h.Types.Of(request)
		h.Must(err)
		refreshed, err := refresh.Grant(t.Context(), request)
		if err != nil {
			if !strings.HasPrefix(refusal(err), c.audience) {
				t.Errorf("%s: %s", what, refusal(err))
			}
			continue
		}
		if aud, alg := inToken(t, refreshed.AccessToken, 1)["aud"], inToken(t, refreshed.AccessToken, 0)["alg"]; aud != c.audience || alg != c.alg {
			t.Errorf("%s: for %v with %v", what, aud, alg)
		}
	}
	// A client's own token: its scopes choose the API, and name one if that is not clear.
	for scope, want := range map[string]string{"read": usual, "use": curve, "read use": "invalid_target", "": usual} {
		issued, err := h.Ask(app, clients.ClientCredentials, "scope", scope)
		got := refusal(err)
		if err == nil {
			got = strings.Join(issued.Access.Audience, " ")
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("scope %q: %s", scope, got)
		}
	}
}

func TestAnEncryptedTokenIsForOneAPI(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	const usual, secret, other = "https://api.test", "https://secret.test", "https://secret2.test"
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	h.Must(err)
	jwk, err := jose.JSONWebKey{Key: private.Public()}.MarshalJSON()
	h.Must(err)
	for _, audience := range []string{secret, other} {
		_, err := h.APIs.Create(t.Context(), apis.API{Audience: audience, Name: "Secret", Scopes: []string{"use"}, EncryptionJWK: string(jwk)}, "", audit.Operator("test"))
		h.Must(err)
	}
	app := h.Client("app", func(c *clients.Client) {
		c.Audiences, c.Scopes = []string{usual, secret, other}, []string{"read", "use"}
	})
	for what, c := range map[string]struct {
		parameters url.Values
		want       string
		parts      int
	}{
		"nothing named":       {nil, usual, 3},
		"the usual one":       {url.Values{"resource": {usual}}, usual, 3},
		"the encrypted one":   {url.Values{"resource": {secret}}, secret, 5},
		"two of one key":      {url.Values{"resource": {secret, other}}, "invalid_target", 0},
		"one of each":         {url.Values{"resource": {usual, secret}}, "invalid_target", 0},
		"one of each, turned": {url.Values{"resource": {secret, usual}}, "invalid_target", 0},
		"by its scope":        {url.Values{"scope": {"read"}}, usual, 3},
	} {
		request := grants.Request{Client: app, GrantType: clients.ClientCredentials, Parameters: c.parameters}
		grant, err := h.Types.Of(request)
		h.Must(err)
		issued, err := grant.Grant(t.Context(), request)
		if err != nil {
			if !strings.HasPrefix(refusal(err), c.want) {
				t.Errorf("%s: %s", what, refusal(err))
			}
			continue
		}
		if !slices.Equal(issued.Access.Audience, []string{c.want}) || strings.Count(issued.AccessToken, ".")+1 != c.parts {
			t.Errorf("%s: for %v, of %d parts", what, issued.Access.Audience, strings.Count(issued.AccessToken, ".")+1)
		}
	}
}

func TestAnAPIThatChangesItsAlgorithmKeepsTheFormerForAWhile(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app := h.Client("app")
	change := func(alg string) apis.API {
		t.Helper()
		a, _, err := h.APIs.Update(t.Context(), "https://api.test", func(a *apis.API) error { a.Signing.Alg = alg; return nil }, "", audit.Operator("test"))
		h.Must(err)
		return a
	}
	signs := func() any {
		t.Helper()
		issued, err := h.Ask(app, clients.ClientCredentials, "resource", "https://api.test")
		h.Must(err)
		return inToken(t, issued.AccessToken, 0)["alg"]
	}
	a := change("EdDSA")
	if until := a.Signing.From.Sub(h.Now()); a.Signing.Wants() != "EdDSA" || until < 30*time.Second || until > 5*time.Minute {
		t.Errorf("%+v", a.Signing)
	}
	if got := signs(); got != "RS256" {
		t.Errorf("at once: %v", got)
	}
	h.Later(time.Until(a.Signing.From) + time.Second)
	if got := signs(); got != "EdDSA" {
		t.Errorf("once the key is known: %v", got)
	}
	// The keys of the former algorithm have been known for long.
	if change("RS256"); signs() != "RS256" {
		t.Error("a change back waits")
	}
	if change("EdDSA"); signs() != "EdDSA" {
		t.Error("keys that are known already are waited for")
	}
	if _, _, err := h.APIs.Update(t.Context(), "https://api.test", func(a *apis.API) error { a.Signing.Alg = "none"; return nil }, "", audit.Operator("test")); err == nil {
		t.Error("none is taken")
	}
}

func TestAChangeOfTheAlgorithmThatCrossesAnotherOneWaits(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	h.Client("app")
	api := func(edit func(*apis.Signing)) apis.Signing {
		t.Helper()
		a, _, err := h.APIs.Update(t.Context(), "https://api.test", func(a *apis.API) error { edit(&a.Signing); return nil }, "", audit.Operator("test"))
		h.Must(err)
		return a.Signing
	}
	client := func(edit func(*apis.Signing)) apis.Signing {
		t.Helper()
		c, _, err := h.Types.Rules.Clients.Update(t.Context(), "app", func(c *clients.Client) error { edit(&c.IDTokenSigning); return nil }, "", audit.Operator("test"))
		h.Must(err)
		return c.IDTokenSigning
	}
	for what, update := range map[string]func(func(*apis.Signing)) apis.Signing{"an API": api, "a client": client} {
		update(func(s *apis.Signing) { s.Alg = "ES256" })
		crossed := false
		got := update(func(s *apis.Signing) {
			if !crossed { // before anything is stored, another operator changes it back
				crossed = true
				update(func(s *apis.Signing) { s.Alg = "RS256" })
			}
			s.Alg = "ES256"
		})
		if got.Wants() != "ES256" || got.At(h.Now()) != "RS256" {
			t.Errorf("%s: %+v, and no verifier knows the key", what, got)
		}
	}
}

func TestIDTokensHaveTheAlgorithmOfTheirClient(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	h.User("minji")
	for _, alg := range apis.SigningAlgs() {
		id := "app-" + strings.ToLower(alg)
		app := h.Client(id, func(c *clients.Client) { c.IDTokenSigning.Alg = alg })
		issued, err := h.Redeem(app, h.Code(h.SignIn("minji"), id))
		h.Must(err)
		if got := inToken(t, issued.IDToken, 0)["alg"]; got != alg {
			t.Errorf("%s: %v", alg, got)
		}
		if got := inToken(t, issued.AccessToken, 0)["alg"]; got != "RS256" {
			t.Errorf("%s: the access token has %v", alg, got)
		}
		short, long := sha256.Sum256([]byte(issued.AccessToken)), sha512.Sum512([]byte(issued.AccessToken))
		want := short[:16]
		if alg == "EdDSA" {
			want = long[:32]
		}
		if got := inToken(t, issued.IDToken, 1)["at_hash"]; got != base64.RawURLEncoding.EncodeToString(want) {
			t.Errorf("%s: at_hash %v", alg, got)
		}
		if hint, err := h.Types.Issuer.ReadHint(t.Context(), issued.IDToken); err != nil || hint.ClientID != id || !slices.Equal(hint.Methods, []string{"pwd"}) {
			t.Errorf("%s, as a hint: %+v %v", alg, hint, err)
		}
	}
}
