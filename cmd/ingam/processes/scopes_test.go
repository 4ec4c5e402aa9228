package processes

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/verify"
)

// scopesAndAudience returns the audiences and scopes of an access token.
func scopesAndAudience(t testing.TB, token string) string {
	t.Helper()
	var of struct {
		Aud   any    `json:"aud"`
		Scope string `json:"scope"`
	}
	mustUnmarshal(t, written(t, token, 1), &of)
	aud, err := json.Marshal(of.Aud)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(strings.NewReplacer(`"`, "", "https://", "", ".test", "").Replace(string(aud)), "[]") + ": " + of.Scope
}

func TestScopesChooseTheAPIAndTheAnswerSaysWhatWasGranted(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.must("api", "create", "--audience", "https://orders.test", "--name", "Orders", "--scope", "order")
	a := d.webClient("app", "--audience", "https://orders.test", "--scope", "openid profile read order offline_access")
	d.user("minji")
	p := s.person()
	// Some libraries always ask for the same list of scopes.
	for asked, want := range map[string][2]string{
		"openid groups phone read":            {"openid read", "api: openid read"},
		"openid order":                        {"openid order", "orders: openid order"},
		"openid read order roles":             {"openid read order", "api,orders: openid read order"},
		"openid profile email address groups": {"openid profile", "api: openid profile"},
		"openid":                              {"openid", "api: openid"},
		"write order":                         {"order", "orders: order"},
	} {
		set := a.tokens(s, p, "minji", "scope", asked)
		if got := scopesAndAudience(t, set.Access); set.Scope != want[0] || got != want[1] {
			t.Errorf("%s: the answer says %q, the token %q", asked, set.Scope, got)
		}
	}
	for _, asked := range []string{"groups", "write admin"} {
		if r := p.get(a.request("scope", asked)).response(); r.Get("error") != "invalid_scope" || r.Get("code") != "" {
			t.Errorf("%s: %v", asked, r)
		}
	}
	// The log has the number of scopes that were left out, and not their names.
	eventually(t, "the log has the request", time.Minute, func() bool { return strings.Contains(s.log.String(), `"scopes_left_out":3`) })
	if log := s.log.String(); strings.Contains(log, "groups") || strings.Contains(log, "admin") {
		t.Error("the log repeats scopes that are not known")
	}

	set := a.tokens(s, p, "minji", "scope", "openid read order")
	for form, want := range map[string]string{
		"": "api,orders: openid read order", "resource=https://orders.test": "orders: openid order", "scope=read": "api,orders: read",
		"scope=order&resource=https://orders.test": "orders: order",
	} {
		v, err := url.ParseQuery(form)
		if err != nil {
			t.Fatal(err)
		}
		v.Set("grant_type", "refresh_token")
		v.Set("refresh_token", set.Refresh)
		got := a.post(s, v).tokens(t)
		if token := scopesAndAudience(t, got.Access); token != want || got.Scope != token[strings.Index(token, ": ")+2:] {
			t.Errorf("a refresh with %q: %q, %q", form, got.Scope, token)
		}
	}
	// The error of the token endpoint names the scope, because a program reads it. The
	// log does not.
	got := a.refresh(s, set.Refresh, "scope", "read pasted-by-mistake")
	wantRefused(t, "a scope that was not granted", got, 400, "invalid_scope")
	if !strings.Contains(got.body, "'pasted-by-mistake'") {
		t.Error(got.body)
	}
	if strings.Contains(s.log.String(), "pasted") {
		t.Error("the log repeats what was asked for")
	}

	// A scope that an API offers later was not allowed for that API. A token for both
	// APIs would have the scope at both, so it is left out there.
	d.must("api", "update", "https://orders.test", "--add-scope", "read")
	eventually(t, "the server knows", time.Minute, func() bool {
		return scopesAndAudience(t, a.refresh(s, set.Refresh).tokens(t).Access) == "api,orders: openid order"
	})
	for resource, want := range map[string]string{"https://orders.test": "orders: openid order", "https://api.test": "api: openid read"} {
		if got := scopesAndAudience(t, a.refresh(s, set.Refresh, "resource", resource).tokens(t).Access); got != want {
			t.Errorf("at %s: %q", resource, got)
		}
	}
	if sc := p.get(a.request("scope", "openid read order")); !strings.Contains(sc.body, `name="decision"`) || !strings.Contains(sc.body, "“read”</bdi></div><div class=\"whose\"><bdi>Orders · https://orders.test</bdi>") {
		t.Errorf("read at another API is not asked for: %d %s", sc.status, sc.body)
	}
}

func TestEachScopeTellsItsClaimsInTheIDTokenAndAtUserinfo(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	config := filepath.Join(d.dir, "ingam.yaml")
	err := os.WriteFile(config, []byte("claims:\n- scope: department\n  claims: [department, cost_center]\n  text: see where you work\n  text_ko: 근무 부서 보기\n- scope: badge\n  claims: [badge]\n"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	// This API was created before the server had scopes of the names phone and badge.
	d.must("migrate", "up")
	storagetest.Exec(t, d.database, `INSERT INTO apis (id, audience, name, scopes, access_ttl_ms, created_ms) VALUES ('early', 'https://early.test', 'Early', '["phone","badge","x"]', 0, 0)`)
	s := d.start()
	const all = "openid profile email phone address roles department badge"
	a := d.webClient("app", "--scope", all+" read")
	quiet := d.webClient("quiet", "--scope", all+" read", "--id-token-claims=false")
	early := d.webClient("early", "--scope", all+" x", "--audience", "https://early.test")
	user := d.user("minji", "--role", "admin", "--role", "ops", "--email-verified", "--claims",
		`{"name": "Kim Minji", "phone_number": "+82 2 123", "address": {"formatted": "Seoul"}, "department": "R&D", "badge": 9007199254740993, "employee": 1.0}`)
	big := d.command(goodPassword+"\n", nil, "user", "create", "--username", "big", "--email", "big@test.example", "--password-stdin", "--claims", `{"name": "Big", "essay": "`+strings.Repeat("x", 4000)+`"}`)
	if big.status != done || !strings.Contains(big.stderr, "userinfo") {
		t.Errorf("a user whose claims an ID token does not hold: %d %s", big.status, big.stderr)
	}

	userinfo := func(set tokenSet) map[string]json.RawMessage {
		t.Helper()
		got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access)
		if got.status != http.StatusOK {
			t.Fatalf("%d %s", got.status, got.body)
		}
		var claims map[string]json.RawMessage
		mustUnmarshal(t, got.body, &claims)
		return claims
	}
	idToken := func(token string) map[string]json.RawMessage {
		t.Helper()
		var claims map[string]json.RawMessage
		mustUnmarshal(t, written(t, token, 1), &claims)
		for _, name := range []string{"iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"} {
			if claims[name] == nil && name != "nonce" {
				t.Errorf("the ID token has no %s", name)
			}
			delete(claims, name)
		}
		return claims
	}
	p, sub := s.person(), `"`+user.ID+`"`
	for scope, want := range map[string]string{
		"openid":            `{"sub":SUB}`,
		"openid email":      `{"sub":SUB,"email":"minji@test.example","email_verified":true}`,
		"openid profile":    `{"sub":SUB,"name":"Kim Minji","preferred_username":"minji","employee":1.0}`,
		"openid phone":      `{"sub":SUB,"phone_number":"+82 2 123"}`,
		"openid address":    `{"sub":SUB,"address":{"formatted":"Seoul"}}`,
		"openid roles":      `{"sub":SUB,"roles":["admin","ops"]}`,
		"openid department": `{"sub":SUB,"department":"R&D"}`,
		"openid badge read": `{"sub":SUB,"badge":9007199254740993}`,
	} {
		var claims map[string]json.RawMessage
		mustUnmarshal(t, strings.ReplaceAll(want, "SUB", sub), &claims)
		same := cmp.Comparer(func(a, b json.RawMessage) bool {
			return strings.ReplaceAll(string(a), `\u0026`, "&") == strings.ReplaceAll(string(b), `\u0026`, "&")
		})
		set := a.tokens(s, p, "minji", "scope", scope)
		for what, got := range map[string]map[string]json.RawMessage{
			"userinfo": userinfo(set), "the ID token": idToken(set.ID), "a refreshed ID token": idToken(a.refresh(s, set.Refresh).tokens(t).ID),
		} {
			if diff := cmp.Diff(claims, got, same); diff != "" {
				t.Errorf("%s of %s: -want +got:\n%s", what, scope, diff)
			}
		}
		set = quiet.tokens(s, p, "minji", "scope", scope)
		if diff := cmp.Diff(claims, userinfo(set), same); diff != "" {
			t.Errorf("userinfo of %s, where ID tokens hold nothing: %s", scope, diff)
		}
		for _, id := range []string{set.ID, quiet.refresh(s, set.Refresh).tokens(t).ID} {
			if got := idToken(id); len(got) != 1 || string(got["sub"]) != sub {
				t.Errorf("an ID token that is to hold nothing: %s", got)
			}
		}
	}
	// For the clients of that API, phone and badge are the API's own scopes, and
	// release no claims.
	set := early.tokens(s, p, "minji", "scope", "openid phone badge department", "resource", "https://early.test")
	if got := idToken(set.ID); set.Scope != "openid phone badge department" || got["phone_number"] != nil || got["badge"] != nil || got["department"] == nil {
		t.Errorf("%s: %s", set.Scope, got)
	}
	if got := userinfo(set); got["phone_number"] != nil || got["badge"] != nil || got["department"] == nil {
		t.Errorf("%s", got)
	}
	if out := d.must("api", "list"); !strings.Contains(out, "https://early.test offered phone, badge before the server had scopes of these names") {
		t.Error(out)
	}
	for _, scope := range []string{"badge", "openid"} {
		if e := d.command("", nil, "api", "update", "https://api.test", "--add-scope", scope); e.status != failed || !strings.Contains(e.stderr, scope+" is the server's own") {
			t.Errorf("%d %s", e.status, e.stderr)
		}
	}
	d.must("api", "update", "https://early.test", "--name", "Earlier")

	// A claim that is too long for an ID token is only at userinfo.
	set = a.tokens(s, s.person(), "big", "scope", "openid profile email")
	if got := idToken(set.ID); got["essay"] != nil || string(got["name"]) != `"Big"` || got["email"] == nil || len(set.ID) > 4096 {
		t.Errorf("%d: %s", len(set.ID), got)
	}
	if got := userinfo(set); len(got["essay"]) != 4002 || got["email_verified"] != nil {
		t.Errorf("%.300s", got)
	}

	// The consent page and the account page name the claims, in both languages.
	for lang, want := range map[string][]string{
		"en": {"See your name, picture and profile, and also employee", "See your phone number", "See your postal address", "See your roles", "See where you work", "See badge"},
		"ko": {"employee", "전화번호 보기", "주소 보기", "역할 보기", "근무 부서 보기", "다음 정보 보기: badge"},
	} {
		sc := p.get(a.request("scope", all, "prompt", "consent", "ui_locales", lang))
		for _, text := range want {
			if !strings.Contains(sc.body, text) {
				t.Errorf("the consent page does not say %q:\n%s", text, sc.body)
			}
		}
	}
	if sc := p.get("/account"); !strings.Contains(sc.body, "see your phone number") || !strings.Contains(sc.body, "“phone”</bdi> (<bdi>Earlier · https://early.test</bdi>)") {
		t.Errorf("the account page: %s", sc.body)
	}
	var metadata struct {
		Scopes []string `json:"scopes_supported"`
		Claims []string `json:"claims_supported"`
	}
	mustUnmarshal(t, s.get("/.well-known/openid-configuration").body, &metadata)
	for _, name := range strings.Fields(all + " offline_access") {
		if !slices.Contains(metadata.Scopes, name) {
			t.Errorf("scopes_supported lacks %s", name)
		}
	}
	for _, name := range []string{"sub", "sid", "email_verified", "phone_number", "address", "roles", "birthdate", "department", "cost_center", "badge"} {
		if !slices.Contains(metadata.Claims, name) {
			t.Errorf("claims_supported lacks %s", name)
		}
	}

	// When a scope is removed from a client, userinfo no longer returns the scope's
	// claims.
	set = a.tokens(s, p, "minji", "scope", "openid phone")
	d.must("client", "update", "app", "--remove-scope", "phone")
	eventually(t, "the server knows", time.Minute, func() bool { return userinfo(set)["phone_number"] == nil })
}

func TestAnAPIMayGetTokensOfTypJWT(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.must("api", "create", "--audience", "https://plain.test", "--name", "Plain", "--scope", "use", "--token-typ", "JWT")
	a := d.webClient("app", "--audience", "https://plain.test", "--scope", "openid email read use")
	plain := d.client("plain", "--audience", "https://plain.test", "--introspects", "https://plain.test", "--scope", "read use")
	d.user("minji")
	p := s.person()
	ask := func(v *verify.Verifier, token string) error {
		_, err := v.Verify(t.Context(), token)
		return err
	}
	usual := d.verifier(verify.Config{Audience: "https://plain.test"})
	configured := d.verifier(verify.Config{Audience: "https://plain.test", AcceptJWT: true})

	set := a.tokens(s, p, "minji", "scope", "openid email use")
	own := s.token("plain", plain, "scope", "use")
	for what, token := range map[string]string{"a user's": set.Access, "refreshed": a.refresh(s, set.Refresh).tokens(t).Access, "a client's own": own} {
		if typ := part(t, token, 0)["typ"]; typ != "JWT" {
			t.Errorf("%s: the typ is %v", what, typ)
		}
		if err := ask(configured, token); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if err := ask(usual, token); !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("%s, by a verifier that does not accept this typ: %v", what, err)
		}
		if !s.active("plain", plain, token) {
			t.Errorf("%s: not active", what)
		}
		for typ, want := range map[string]int{"at+jwt": failed, "JWT": done, "jwt": misuse} {
			if e := d.command(token, nil, "token", "verify", "--audience", "https://plain.test", "--token-typ", typ); e.status != want {
				t.Errorf("%s, verified as %s: %d %s", what, typ, e.status, e.stderr)
			}
		}
		if r := p.get(a.request("id_token_hint", token, "prompt", "none")).response(); r.Get("code") != "" {
			t.Errorf("%s: taken for a hint: %v", what, r)
		}
	}
	// An ID token has the same typ, but is not accepted as an access token.
	for what, err := range map[string]error{"configured": ask(configured, set.ID), "usual": ask(usual, set.ID)} {
		if !errors.Is(err, verify.ErrInvalid) {
			t.Errorf("an ID token at the API, %s: %v", what, err)
		}
	}
	if s.active("plain", plain, set.ID) {
		t.Error("an ID token is active")
	}
	if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.ID); got.status != http.StatusUnauthorized {
		t.Errorf("userinfo for an ID token: %d", got.status)
	}
	if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access); got.status != http.StatusOK {
		t.Errorf("userinfo: %d %s", got.status, got.body)
	}

	// A sign-in can be for both kinds of API, but a token only for one kind: the client's
	// first API, unless another one is named.
	code := p.signIn("minji", a.request("scope", "openid read use")).Get("code")
	wantRefused(t, "one token for both", a.post(s, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {a.verifier},
		"resource": {"https://api.test", "https://plain.test"},
	}), 400, "invalid_target")
	set = a.redeem(s, code).tokens(t)
	if typ := part(t, set.Access, 0)["typ"]; typ != "at+jwt" || set.Scope != "openid read" {
		t.Errorf("%v %s", typ, set.Scope)
	}
	set = a.refresh(s, set.Refresh, "resource", "https://plain.test").tokens(t)
	if typ := part(t, set.Access, 0)["typ"]; typ != "JWT" || set.Scope != "openid use" {
		t.Errorf("%v %s", typ, set.Scope)
	}
	other := a.refresh(s, set.Refresh, "resource", "https://api.test").tokens(t)
	if typ := part(t, other.Access, 0)["typ"]; typ != "at+jwt" || other.Scope != "openid read" {
		t.Errorf("%v %s", typ, other.Scope)
	}
	wantRefused(t, "a client's own for both", s.post("/oauth2/token", "plain", plain, url.Values{"grant_type": {"client_credentials"}, "scope": {"read use"}}), 400, "invalid_target")

	// A token stays valid, and can be revoked, even if its API gets tokens of the
	// other typ now.
	d.must("api", "update", "https://plain.test", "--token-typ", "at+jwt")
	eventually(t, "the server gives the API the usual ones", time.Minute, func() bool { return part(t, s.token("plain", plain, "scope", "use"), 0)["typ"] == "at+jwt" })
	if !s.active("plain", plain, own) {
		t.Error("a token is not active since its API gets others")
	}
	if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+a.refresh(s, set.Refresh, "resource", "https://plain.test").tokens(t).Access); got.status != http.StatusOK {
		t.Errorf("userinfo, of the other type: %d", got.status)
	}
	if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access); got.status != http.StatusOK {
		t.Errorf("userinfo, of the type from before: %d", got.status)
	}
	if s.active("plain", plain, set.ID) {
		t.Error("an ID token is active")
	}
	if got := s.post("/oauth2/revoke", "plain", plain, url.Values{"token": {own}}); got.status != http.StatusOK {
		t.Errorf("%d %s", got.status, got.body)
	}
	d.must("api", "update", "https://plain.test", "--token-typ", "JWT")
	eventually(t, "the server knows", time.Minute, func() bool { return part(t, s.token("plain", plain, "scope", "use"), 0)["typ"] == "JWT" })
	if s.active("plain", plain, own) {
		t.Error("a revoked token is active")
	}
}

func TestOfflineAccessThatIsTakenAwayEndsWithTheSession(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	web := d.webClient("web", "--auth", "client_secret_basic")
	d.user("minji")
	out, in := s.person(), s.person()
	gone := web.tokens(s, out, "minji", "scope", "openid read offline_access")
	here := web.tokens(s, in, "minji", "scope", "openid read offline_access")
	out.get("/logout").submit("decision", "out")
	gone = web.refresh(s, gone.Refresh).tokens(t) // offline_access is still allowed

	d.must("client", "update", "web", "--remove-scope", "offline_access")
	wantRefused(t, "signed out, without offline_access", web.refresh(s, gone.Refresh), 400, "invalid_grant")
	if s.active("web", web.secret, gone.Refresh) {
		t.Error("a refresh token that brings nothing is active")
	}
	if here = web.refresh(s, here.Refresh).tokens(t); here.Scope != "openid read" {
		t.Errorf("signed in: %s", here.Scope)
	}
	// When the client gets the scope again, the refresh token is active again.
	d.must("client", "update", "web", "--add-scope", "offline_access")
	if !s.active("web", web.secret, gone.Refresh) {
		t.Error("the refresh token is not back")
	}
	web.refresh(s, gone.Refresh).tokens(t)
}

func TestAClientOfItsOwnGetsNoTokenForNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	service := d.client("service") // with the scope read, among others
	d.must("api", "create", "--audience", "https://lost.test", "--name", "Lost", "--scope", "list other")
	lost := d.client("lost", "--audience", "https://lost.test", "--scope", "list")
	none := d.client("none", "--scope", "")
	form := url.Values{"grant_type": {"client_credentials"}}
	s.token("lost", lost)
	d.must("api", "update", "https://lost.test", "--remove-scope", "list")
	wantRefused(t, "nothing is left", s.post("/oauth2/token", "lost", lost, form), 400, "invalid_scope")
	s.token("service", service)
	// A client that was registered without a scope needs none.
	if got := s.post("/oauth2/token", "none", none, form); got.status != http.StatusOK {
		t.Errorf("without a scope: %d %s", got.status, got.body)
	}
	d.must("api", "update", "https://lost.test", "--add-scope", "list")
	s.token("lost", lost)
}
