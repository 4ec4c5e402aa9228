package processes

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/zitadel/oidc/v3/pkg/client/rp"
	zitadel "github.com/zitadel/oidc/v3/pkg/oidc"
	"golang.org/x/oauth2"
)

func mustUnmarshal(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

func TestAnIndependentOpenIDClientSignsSomeoneIn(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		confidential := d.webClient("web", "--auth", "client_secret_basic")
		public := d.webClient("spa")
		user := d.user("minji", "--role", "admin", "--claims", `{"name": "Kim Minji", "locale": "ko"}`)
		for _, a := range []app{confidential, public} {
			provider, err := oidc.NewProvider(t.Context(), d.issuer)
			if err != nil {
				t.Fatal(err)
			}
			config := oauth2.Config{
				ClientID: a.id, ClientSecret: a.secret, Endpoint: provider.Endpoint(), RedirectURL: callback,
				Scopes: []string{oidc.ScopeOpenID, "profile", "email", "read", oidc.ScopeOfflineAccess},
			}
			verifier := oauth2.GenerateVerifier()
			p := s.person()
			response := p.signIn("Minji ", config.AuthCodeURL("the state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("the nonce")))
			if response.Get("state") != "the state" || response.Get("iss") != d.issuer || response.Get("error") != "" {
				t.Fatalf("%v", response)
			}
			token, err := config.Exchange(t.Context(), response.Get("code"), oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			checkID := func(token *oauth2.Token, nonce string) {
				t.Helper()
				raw, _ := token.Extra("id_token").(string)
				id, err := provider.Verifier(&oidc.Config{ClientID: a.id}).Verify(t.Context(), raw)
				if err != nil {
					t.Fatal(err)
				}
				if err := id.VerifyAccessToken(token.AccessToken); err != nil {
					t.Error(err)
				}
				var claims struct {
					AuthTime int64    `json:"auth_time"`
					AMR      []string `json:"amr"`
					ACR, SID string
				}
				if err := id.Claims(&claims); err != nil {
					t.Fatal(err)
				}
				if id.Nonce != nonce || id.Subject != user.ID || claims.AuthTime == 0 || strings.Join(claims.AMR, " ") != "pwd" || claims.ACR == "" || claims.SID == "" {
					t.Errorf("%+v %+v", id, claims)
				}
			}
			checkID(token, "the nonce")
			info, err := provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
			if err != nil {
				t.Fatal(err)
			}
			var claims map[string]any
			if err := info.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if info.Subject != user.ID || info.Email != "minji@test.example" || claims["name"] != "Kim Minji" || claims["preferred_username"] != "minji" {
				t.Errorf("%v", claims)
			}

			// The library refreshes the token, because it seems to have
			// expired.
			old := *token
			old.Expiry = time.Now().Add(-time.Hour)
			next, err := config.TokenSource(context.Background(), &old).Token()
			if err != nil {
				t.Fatal(err)
			}
			if next.RefreshToken == token.RefreshToken || next.AccessToken == token.AccessToken {
				t.Error("the refresh brought nothing new")
			}
			checkID(next, "")
			access := part(t, next.AccessToken, 1)
			if access["sub"] != user.ID || access["gid"] == nil || access["auth_time"] == nil || access["roles"] != nil || access["aud"] != "https://api.test" {
				t.Errorf("%v", access)
			}
		}
	})
}

func TestConsentIsAskedOnceAndCanBeDenied(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a, first := d.webClient("app"), d.webClient("ours", "--skip-consent")
	d.user("minji")
	p := s.person()
	sc := p.get(a.request()).submit("username", "minji", "password", goodPassword).follow()
	for _, want := range []string{"App app", "app.test", "Know who you are", "“read”"} {
		if !strings.Contains(sc.body, want) {
			t.Errorf("the page does not say %q:\n%s", want, sc.body)
		}
	}
	denied := sc.submit("decision", "deny").response()
	if denied.Get("error") != "access_denied" || denied.Get("state") != "s" || denied.Get("iss") != d.issuer {
		t.Errorf("%v", denied)
	}
	if response := p.signIn("minji", a.request()); response.Get("code") == "" {
		t.Errorf("%v", response)
	}
	// The consent is remembered, for these scopes and for fewer.
	for _, scope := range []string{"openid read", "read"} {
		if sc := p.get(a.request("scope", scope)); sc.status != http.StatusSeeOther || sc.response().Get("code") == "" {
			t.Errorf("%s: asked again: %d %s", scope, sc.status, sc.body)
		}
	}
	if sc := p.get(a.request("scope", "openid read write")); !strings.Contains(sc.body, `name="decision"`) {
		t.Errorf("not asked for a new scope: %d", sc.status)
	}
	if sc := p.get(a.request("prompt", "consent")); !strings.Contains(sc.body, `name="decision"`) {
		t.Errorf("not asked by prompt=consent: %d", sc.status)
	}
	if sc := p.get(first.request()); sc.status != http.StatusSeeOther || sc.response().Get("code") == "" {
		t.Errorf("a first-party client asks: %d", sc.status)
	}
}

func TestPromptsAndHints(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app")
	d.user("minji")
	d.user("junho")
	p := s.person()
	wantError := func(request, code string) {
		t.Helper()
		if r := p.get(request).response(); r.Get("error") != code || r.Get("iss") != d.issuer || r.Get("state") != "s" {
			t.Errorf("%v, not %s", r, code)
		}
	}
	wantError(a.request("prompt", "none"), "login_required")
	set := a.tokens(s, p, "minji")
	if r := p.get(a.request("prompt", "none")).response(); r.Get("code") == "" {
		t.Errorf("%v", r)
	}
	wantError(a.request("prompt", "none", "scope", "openid write"), "consent_required")
	wantError(a.request("prompt", "none", "max_age", "0"), "login_required")
	wantError(a.request("prompt", "none login"), "invalid_request")
	wantError(a.request("prompt", "dance"), "invalid_request")
	for _, age := range []string{"soon", "-1", "1.5", "-99999999999999999999"} {
		wantError(a.request("max_age", age), "invalid_request")
	}
	if r := p.get(a.request("id_token_hint", set.ID, "prompt", "none")).response(); r.Get("code") == "" {
		t.Errorf("%v", r)
	}
	for _, age := range []string{"3600", "9999999999", "99999999999999999999"} { // longer than any session has lasted
		if r := p.get(a.request("max_age", age)).response(); r.Get("code") == "" {
			t.Errorf("max_age=%s: %v", age, r)
		}
	}
	for _, prompt := range []string{"login", "select_account", "login consent"} {
		sc := p.get(a.request("prompt", prompt, "login_hint", "minji"))
		if !strings.Contains(sc.body, `value="minji"`) {
			t.Errorf("prompt=%s shows no login page: %d %s", prompt, sc.status, sc.body)
		}
		if r := p.signIn("minji", a.request("prompt", prompt)); r.Get("code") == "" {
			t.Errorf("prompt=%s: %v", prompt, r)
		}
	}
	if r := p.signIn("minji", a.request("max_age", "0")); r.Get("code") == "" {
		t.Errorf("max_age=0: %v", r)
	}
	// Another user signs in in the same browser.
	p.signIn("junho", a.request("prompt", "login"))
	wantError(a.request("id_token_hint", set.ID, "prompt", "none"), "login_required")
	if sc := p.get(a.request("id_token_hint", set.ID)); !strings.Contains(sc.body, `name="password"`) {
		t.Errorf("another user's hint: %d", sc.status)
	}
}

func TestAuthorizationRequestsThatAreNotInOrder(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app", "--redirect-uri", "http://127.0.0.1:1234/cb", "--redirect-uri", "https://app.test/q?a=1", "--redirect-uri", "com.example.app:/cb")
	d.client("machine")
	disabled := d.webClient("disabled")
	d.must("client", "disable", "disabled")
	d.user("minji")
	p := s.person()
	p.signIn("minji", a.request())
	before := d.state()
	// These errors are shown to the person. The browser must not be redirected,
	// because the redirect URI may be an attacker's.
	for what, request := range map[string]string{
		"no client": a.request("client_id", ""), "an unknown client": a.request("client_id", "nobody"), "a disabled client": disabled.request(),
		"no address of several": a.request("redirect_uri", ""), "another case": a.request("redirect_uri", "https://app.test/CB"),
		"another path": a.request("redirect_uri", "https://app.test/cb/x"), "a dot segment": a.request("redirect_uri", "https://app.test/x/../cb"),
		"a query": a.request("redirect_uri", callback+"?x=1"), "a fragment": a.request("redirect_uri", callback+"#x"),
		"another host": a.request("redirect_uri", "https://app.test.evil.test/cb"), "a user": a.request("redirect_uri", "https://app.test@evil.test/cb"),
		"another port": a.request("redirect_uri", "https://app.test:444/cb"), "another scheme": a.request("redirect_uri", "http://app.test/cb"),
		"an encoding": a.request("redirect_uri", "https://app.test/%63b"), "javascript": a.request("redirect_uri", "javascript:alert(1)//app.test/cb"),
		"a slash behind": a.request("redirect_uri", callback+"/"), "a loopback elsewhere": a.request("redirect_uri", "http://127.0.0.1:9/other"),
		"another loopback": a.request("redirect_uri", "http://localhost:9/cb"), "two addresses": a.request() + "&redirect_uri=https://evil.test/cb",
		"two clients": a.request() + "&client_id=app", "a space": a.request("redirect_uri", " "+callback),
	} {
		sc := p.get(request)
		if sc.to != "" || sc.status < 400 || sc.status > 499 || !strings.Contains(sc.body, sc.header.Get("X-Request-Id")) || leadsToEvil.MatchString(sc.body) {
			t.Errorf("%s: %d to %q\n%s", what, sc.status, sc.to, sc.body)
		}
	}
	// These errors are sent to the client.
	for what, c := range map[string][2]string{
		"no response type": {a.request("response_type", ""), "invalid_request"}, "token": {a.request("response_type", "token"), "unsupported_response_type"},
		"hybrid": {a.request("response_type", "code id_token"), "unsupported_response_type"}, "no PKCE": {a.request("code_challenge", ""), "invalid_request"},
		"plain": {a.request("code_challenge_method", "plain"), "invalid_request"}, "plain by default": {a.request("code_challenge_method", ""), "invalid_request"},
		"a short challenge": {a.request("code_challenge", "abc"), "invalid_request"}, "unknown scopes alone": {a.request("scope", "admin groups"), "invalid_scope"},
		"an unknown resource": {a.request("resource", "https://other.test"), "invalid_target"}, "a request object": {a.request("request", "e30.e30."), "request_not_supported"},
		"a request by reference": {a.request("request_uri", "https://app.test/r"), "request_uri_not_supported"}, "a registration": {a.request("registration", "{}"), "registration_not_supported"},
		"the fragment": {a.request("response_mode", "fragment"), "invalid_request"}, "a parameter twice": {a.request() + "&scope=read", "invalid_request"},
	} {
		sc := p.get(c[0])
		if r := sc.response(); !strings.HasPrefix(sc.to, callback+"?") || r.Get("error") != c[1] || r.Get("iss") != d.issuer || r.Get("state") != "s" || r.Get("code") != "" {
			t.Errorf("%s: %d %s", what, sc.status, sc.to)
		}
	}
	// These requests are valid, although they may not look so.
	for what, request := range map[string]string{
		"no state": a.request("state", ""), "another port of a loopback": a.request("redirect_uri", "http://127.0.0.1:45678/cb"),
		"a query of its own": a.request("redirect_uri", "https://app.test/q?a=1"), "an app's scheme": a.request("redirect_uri", "com.example.app:/cb"),
		"unknown scopes": a.request("scope", "openid groups read admin"), "unknown parameters": a.request("utm_source", "x", "display", "page", "acr_values", "9", "claims", "{}"),
	} {
		sc := p.get(request)
		if r := sc.response(); r.Get("code") == "" || r.Get("iss") != d.issuer || what == "no state" && r.Has("state") || what == "a query of its own" && r.Get("a") != "1" {
			t.Errorf("%s: %d %s", what, sc.status, sc.to)
		}
	}
	if after := d.state(); after != before {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}
	sc := p.get(a.request("response_mode", "form_post"))
	if sc.status != http.StatusOK || sc.post != callback || sc.form.Get("code") == "" || sc.form.Get("state") != "s" || sc.form.Get("iss") != d.issuer {
		t.Errorf("form_post: %d %s", sc.status, sc.body)
	}
	if csp := sc.header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "form-action") || strings.Contains(csp, "unsafe") {
		t.Errorf("its policy is %s", csp)
	}
	if a := s.post("/oauth2/authorize", "", "", mustQuery(t, a.request())); a.status != http.StatusOK && a.status != http.StatusSeeOther {
		t.Errorf("by POST: %d %s", a.status, a.body)
	}
}

func mustQuery(t testing.TB, request string) url.Values {
	t.Helper()
	u, err := url.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestUserInfoIsForWhomTheTokenSays(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app")
	machine := d.client("machine")
	user := d.user("minji", "--claims", `{"name": "Kim"}`)
	set := a.tokens(s, s.person(), "minji")
	get := func(token string) answer {
		return s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+token)
	}
	if got := get(set.Access); got.status != http.StatusOK || got.body != `{"sub":"`+user.ID+`"}` {
		t.Errorf("%d %s", got.status, got.body)
	}
	if got := s.post("/userinfo", "", "", url.Values{"access_token": {set.Access}}); got.status != http.StatusOK {
		t.Errorf("in the body: %d %s", got.status, got.body)
	}
	if got := s.raw("/userinfo", "", "Authorization", "Bearer "+set.Access, "Content-Type", ""); got.status != http.StatusOK {
		t.Errorf("by POST without a body: %d %s", got.status, got.body)
	}
	if got := s.ask(http.MethodGet, "/userinfo"); got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != `Bearer realm="ingam"` {
		t.Errorf("without a token: %d %v", got.status, got.header)
	}
	for what, c := range map[string]struct {
		token  string
		status int
	}{
		"a client's own token": {s.token("machine", machine), 403}, "a refresh token": {set.Refresh, 401}, "an ID token": {set.ID, 401}, "rubbish": {"x", 401},
		"a token without openid": {a.tokens(s, s.person(), "minji", "scope", "read").Access, 403},
	} {
		got := get(c.token)
		if got.status != c.status || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), `Bearer realm="ingam", error="`) {
			t.Errorf("%s: %d %s %v", what, got.status, got.body, got.header)
		}
	}
	if got := s.ask(http.MethodGet, "/userinfo?access_token="+set.Access); got.status != http.StatusUnauthorized {
		t.Errorf("in the URL: %d", got.status)
	}
	if got := s.post("/userinfo", "", "", url.Values{"access_token": {set.Access, "x"}}); got.status != http.StatusBadRequest {
		t.Errorf("twice: %d", got.status)
	}
	d.must("user", "disable", "minji")
	if got := get(set.Access); got.status != http.StatusUnauthorized {
		t.Errorf("of a disabled user: %d %s", got.status, got.body)
	}
}

func TestAnotherIndependentOpenIDClientGoesAllTheWay(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("web", "--auth", "client_secret_post", "--post-logout-redirect-uri", "https://app.test/bye")
	user := d.user("minji", "--claims", `{"name": "Kim Minji"}`)
	ctx := t.Context()
	client, err := rp.NewRelyingPartyOIDC(ctx, d.issuer, a.id, a.secret, callback, []string{"openid", "profile", "email", "read"},
		rp.WithHTTPClient(&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}))
	if err != nil {
		t.Fatal(err)
	}
	p := s.person()
	response := p.signIn("minji", rp.AuthURL("the state", client, rp.WithCodeChallenge(a.challenge())))
	tokens, err := rp.CodeExchange[*zitadel.IDTokenClaims](ctx, response.Get("code"), client, rp.WithCodeVerifier(a.verifier))
	if err != nil {
		t.Fatal(err)
	}
	if tokens.IDTokenClaims.Subject != user.ID || tokens.RefreshToken == "" {
		t.Errorf("%+v", tokens.IDTokenClaims)
	}
	info, err := rp.Userinfo[*zitadel.UserInfo](ctx, tokens.AccessToken, tokens.TokenType, user.ID, client)
	if err != nil || info.Name != "Kim Minji" || info.Email != "minji@test.example" {
		t.Errorf("%v %+v", err, info)
	}
	a.form = true
	next, err := rp.RefreshTokens[*zitadel.IDTokenClaims](ctx, client, tokens.RefreshToken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if next.RefreshToken == tokens.RefreshToken || next.IDTokenClaims.Subject != user.ID {
		t.Errorf("%v %+v", err, next)
	}
	// The library posts the hint itself, without the person's cookies. That ends no
	// session.
	to, err := rp.EndSession(ctx, client, next.IDToken, "https://app.test/bye", "the state", "", nil)
	if err != nil || to == nil || to.String() != "https://app.test/bye?state=the+state" {
		t.Errorf("%v %v", err, to)
	}
	if sc := p.get("/account"); sc.status != http.StatusOK {
		t.Errorf("the person was signed out from afar: %d", sc.status)
	}
	if err := rp.RevokeToken(ctx, client, next.RefreshToken, "refresh_token"); err != nil {
		t.Error(err)
	}
	if got := a.refresh(s, next.RefreshToken); got.status != http.StatusBadRequest {
		t.Errorf("a revoked grant refreshes: %d", got.status)
	}
}
