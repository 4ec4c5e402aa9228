package processes

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// tokenPair is the answer to a first-party app.
type tokenPair struct {
	Access  string `json:"accessToken"`
	Refresh string `json:"refreshToken"`
	Type    string `json:"tokenType"`
	Expires int    `json:"expiresIn"`
	Scope   string `json:"scope"`
	Device  string `json:"deviceToken"`
}

// signInApp registers a first-party client, which signs people in by itself.
func (d *deployment) signInApp(id string, extra ...string) {
	d.t.Helper()
	if e := d.command("", nil, "api", "create", "--audience", "https://api.test", "--name", "Test API", "--scope", "read write"); e.status != 0 && !strings.Contains(e.stderr, "exists") {
		d.t.Fatal(e.stderr)
	}
	args := []string{"client", "create", "--id", id, "--name", "App " + id, "--grant", "first_party", "--scope", "read write", "--audience", "https://api.test"}
	if !strings.Contains(strings.Join(extra, " "), "--auth") {
		args = append(args, "--auth", "none")
	}
	d.must(append(args, extra...)...)
}

// backend registers a confidential first-party client, and returns its Authorization
// header.
func (d *deployment) backend() (authorization string) {
	d.t.Helper()
	var created clientJSON
	d.mustJSON(&created, "client", "create", "--id", "backend", "--name", "Backend", "--grant", "first_party", "--auth", "client_secret_basic", "--scope", "read", "--audience", "https://api.test")
	return basic("backend", url.QueryEscape(created.ClientSecret))
}

// postJSON posts members as JSON, or a body unchanged, with header fields in pairs.
func (s *server) postJSON(path string, body any, fields ...string) answer {
	s.d.t.Helper()
	text, is := body.(string)
	if !is {
		b, err := json.Marshal(body)
		if err != nil {
			s.d.t.Fatal(err)
		}
		text = string(b)
	}
	return s.raw(path, text, append([]string{"Content-Type", "application/json"}, fields...)...)
}

type members map[string]string

func (a answer) pair(t testing.TB) tokenPair {
	t.Helper()
	var p tokenPair
	if a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	mustUnmarshal(t, a.body, &p)
	if p.Access == "" || p.Type != "Bearer" || p.Expires < 60 || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %v", a.body, a.header)
	}
	return p
}

func TestAFirstPartyAppSignsInRefreshesAndSignsOut(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		s, second := d.start(), d.startAt(freeAddress(t))
		d.signInApp("mobile")
		d.user("minji")
		api := d.client("api")
		in := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}).pair(t)
		claims := part(t, in.Access, 1)
		if in.Refresh == "" || in.Scope != "read write" || claims["client_id"] != "mobile" || claims["aud"] != "https://api.test" || claims["gid"] == "" || !second.active("api", api, in.Access) {
			t.Errorf("%+v %v", in, claims)
		}
		// The members may have their other names, and the app may ask for less than all
		// its scopes.
		less := s.postJSON("/login", members{"username": "minji", "password": goodPassword, "client_id": "mobile", "scope": "read"}).pair(t)
		if less.Scope != "read" {
			t.Errorf("%+v", less)
		}
		// Scopes that the app may not have are left out, and the answer says which it
		// got.
		if some := s.postJSON("/login", members{"username": "minji", "password": goodPassword, "client_id": "mobile", "scope": "groups write admin"}).pair(t); some.Scope != "write" {
			t.Errorf("%+v", some)
		}
		// Many refreshes at once all get the same successor.
		var refreshing sync.WaitGroup
		got := make([]answer, 16)
		for i := range got {
			refreshing.Go(func() {
				got[i] = []*server{s, second}[i%2].postJSON("/token/refresh", members{"refreshToken": in.Refresh})
			})
		}
		refreshing.Wait()
		next := got[0].pair(t)
		for _, a := range got {
			if p := a.pair(t); p.Refresh != next.Refresh {
				t.Error("two successors")
			}
		}
		// Reuse of a refresh token ends the grant, as at the token endpoint.
		last := s.postJSON("/token/refresh", members{"refreshToken": next.Refresh, "client_id": "mobile"}).pair(t)
		if a := s.postJSON("/token/refresh", members{"refreshToken": in.Refresh}); a.status != http.StatusUnauthorized || a.json(t)["error"] != "invalid_grant" || strings.Contains(a.header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("%d %s %v", a.status, a.body, a.header)
		}
		if a := s.postJSON("/token/refresh", members{"refreshToken": last.Refresh}); a.status != http.StatusUnauthorized || s.active("api", api, last.Access) {
			t.Errorf("the grant outlives a reuse: %d", a.status)
		}
		// Signing out ends the grant and its session. Signing out twice is no error.
		sessions := func() int {
			var list []sessionJSON
			d.mustJSON(&list, "session", "list", "--user", "minji")
			return len(list)
		}
		before := sessions()
		for range 2 {
			if a := second.postJSON("/token/logout", members{"refreshToken": less.Refresh}); a.status != http.StatusNoContent {
				t.Errorf("%d %s", a.status, a.body)
			}
		}
		if s.active("api", api, less.Access) || sessions() != before-1 {
			t.Errorf("%d sessions of %d", sessions(), before)
		}
		// A cut ends such a grant, too, and a confidential app must authenticate.
		again := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}).pair(t)
		d.must("revoke", "--user", "minji")
		if a := s.postJSON("/token/refresh", members{"refreshToken": again.Refresh}); a.status != http.StatusUnauthorized {
			t.Errorf("%d %s", a.status, a.body)
		}
		basic := d.backend()
		p := s.postJSON("/login", members{"id": "minji", "pw": goodPassword}, "Authorization", basic).pair(t)
		s.postJSON("/token/refresh", members{"refreshToken": p.Refresh}, "Authorization", basic).pair(t)
		if a := s.postJSON("/token/refresh", members{"refreshToken": p.Refresh, "client_id": "backend"}); a.status != http.StatusUnauthorized {
			t.Errorf("without its secret: %d", a.status)
		}
	})
}

func TestFirstPartySignInRefusesEverythingElse(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=1000", "INGAM_THROTTLE_CLIENT_FAILURES=1000")
		d.signInApp("mobile")
		d.signInApp("other")
		web := d.webClient("web")
		d.user("minji")
		d.user("gone")
		d.must("user", "disable", "gone")
		good := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}).pair(t)
		standard := web.tokens(s, s.person(), "minji")
		before := d.state()
		in := func(changed ...string) members {
			m := members{"id": "minji", "pw": goodPassword, "client_id": "mobile"}
			for i := 0; i+1 < len(changed); i += 2 {
				if m[changed[i]] = changed[i+1]; changed[i+1] == "" {
					delete(m, changed[i])
				}
			}
			return m
		}
		// The answer is the same for an unknown user, a wrong password and a disabled
		// user. Otherwise an attacker could find out which users exist.
		var bodies []string
		for _, who := range []members{in("id", "nobody"), in("pw", "wrong"), in("id", "gone"), in("id", "gone", "pw", "wrong")} {
			a := s.postJSON("/login", who)
			if a.status != http.StatusUnauthorized || strings.Contains(a.header.Get("WWW-Authenticate"), "Basic") {
				t.Errorf("%v: %d %s", who, a.status, a.body)
			}
			bodies = append(bodies, a.body)
		}
		for _, body := range bodies[1:] {
			if body != bodies[0] {
				t.Errorf("%s is not %s", body, bodies[0])
			}
		}
		public := signingKey(t, d)
		mac := hmac.New(sha256.New, []byte(public))
		unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"rt+jwt","kid":"`+kidOf(t, good.Refresh)+`"}`)) + "." + strings.Split(good.Refresh, ".")[1]
		mac.Write([]byte(unsigned))
		forged := unsigned + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
		for what, c := range map[string]struct {
			path   string
			body   any
			fields []string
			status int
			code   string
		}{
			"no client":                      {"/login", in("client_id", ""), nil, 401, "invalid_client"},
			"an unknown client":              {"/login", in("client_id", "ghost"), nil, 401, "invalid_client"},
			"a client that is not for it":    {"/login", in("client_id", "web"), nil, 400, "unauthorized_client"},
			"no user":                        {"/login", in("id", ""), nil, 400, "invalid_request"},
			"no password":                    {"/login", in("pw", ""), nil, 400, "invalid_request"},
			"two names":                      {"/login", in("username", "minji"), nil, 400, "invalid_request"},
			"two passwords":                  {"/login", in("password", goodPassword), nil, 400, "invalid_request"},
			"an unknown member":              {"/login", in("admin", "true"), nil, 400, "invalid_request"},
			"another case":                   {"/login", in("ID", "minji", "id", ""), nil, 400, "invalid_request"},
			"a scope that is not the app's":  {"/login", in("scope", "admin"), nil, 400, "invalid_scope"},
			"a member twice":                 {"/login", `{"id":"minji","pw":"x","pw":"y","client_id":"mobile"}`, nil, 400, "invalid_request"},
			"nested":                         {"/login", `{"id":{"$ne":""},"pw":"x","client_id":"mobile"}`, nil, 400, "invalid_request"},
			"deeply nested":                  {"/login", strings.Repeat(`{"id":`, 5000), nil, 400, "invalid_request"},
			"a list":                         {"/login", `["minji"]`, nil, 400, "invalid_request"},
			"a number":                       {"/login", `{"id":1,"pw":"x","client_id":"mobile"}`, nil, 400, "invalid_request"},
			"something behind it":            {"/login", `{"id":"minji","pw":"x","client_id":"mobile"}{}`, nil, 400, "invalid_request"},
			"no JSON":                        {"/login", `id=minji`, nil, 400, "invalid_request"},
			"nothing":                        {"/login", ``, nil, 400, "invalid_request"},
			"huge":                           {"/login", `{"id":"` + strings.Repeat("x", 1<<17) + `"}`, nil, 413, "invalid_request"},
			"a password in the URL":          {"/login?pw=" + url.QueryEscape(goodPassword), in("pw", ""), nil, 400, "invalid_request"},
			"a page of another site":         {"/login", in(), []string{"Origin", "https://evil.test"}, 403, "invalid_request"},
			"a page of a client in memory":   {"/login", in(), []string{"Origin", d.issuer}, 403, "invalid_request"},
			"a browser without an origin":    {"/login", in(), []string{"Sec-Fetch-Site", "cross-site"}, 403, "invalid_request"},
			"a form for a refresh":           {"/token/refresh", "refreshToken=x", []string{"Content-Type", "application/x-www-form-urlencoded"}, 400, "invalid_request"},
			"no refresh token":               {"/token/refresh", members{}, nil, 401, "invalid_grant"},
			"a refresh from another client":  {"/token/refresh", members{"refreshToken": good.Refresh, "client_id": "other"}, nil, 401, "invalid_grant"},
			"a tampered one":                 {"/token/refresh", members{"refreshToken": good.Refresh[:len(good.Refresh)-9] + "AAAAAAAAA"}, nil, 401, "invalid_grant"},
			"a payload with the signature":   {"/token/refresh", members{"refreshToken": swapped(t, good.Refresh)}, nil, 401, "invalid_grant"},
			"HS256 with the public key":      {"/token/refresh", members{"refreshToken": forged}, nil, 401, "invalid_grant"},
			"an access token":                {"/token/refresh", members{"refreshToken": good.Access}, nil, 401, "invalid_grant"},
			"the token of a standard client": {"/token/refresh", members{"refreshToken": standard.Refresh}, nil, 400, "unauthorized_client"},
			"a cookie and a body":            {"/token/refresh", members{"refreshToken": good.Refresh}, []string{"Cookie", "__Secure-ingam_refresh_X=" + good.Refresh}, 400, "invalid_request"},
			"a cookie under any name":        {"/token/refresh", members{}, []string{"Cookie", "__Secure-ingam_refresh_X=" + good.Refresh}, 403, "invalid_request"},
			"a cookie of one in memory":      {"/token/refresh", members{}, []string{"Cookie", refreshCookie("mobile") + "=" + good.Refresh}, 400, "invalid_request"},
			"a password that is no text":     {"/login", `{"id":"minji","pw":"\ud800","client_id":"mobile"}`, nil, 400, "invalid_request"},
			"a password in Latin-1":          {"/login", "{\"id\":\"minji\",\"pw\":\"caf\xe9\",\"client_id\":\"mobile\"}", nil, 400, "invalid_request"},
			"another encoding":               {"/login", in(), []string{"Content-Type", "application/json; charset=utf-16"}, 400, "invalid_request"},
			"an address by anyone":           {"/login", in("address", "192.0.2.1"), nil, 400, "invalid_request"},
			"a logout of another client":     {"/token/logout", members{"refreshToken": good.Refresh, "client_id": "other"}, nil, 400, "invalid_grant"},
		} {
			a := s.postJSON(c.path, c.body, c.fields...)
			if a.status != c.status || a.json(t)["error"] != c.code || strings.Contains(a.body, goodPassword) || strings.Contains(a.header.Get("WWW-Authenticate"), "Basic") {
				t.Errorf("%s: %d %s %v, want %d %s", what, a.status, a.body, a.header, c.status, c.code)
			}
		}
		// A request by a form is answered by a page.
		if a := s.person().post(s.url+"/login", url.Values{"id": {"minji"}, "pw": {goodPassword}, "username": {"minji"}, "password": {"x"}, "client_id": {"mobile"}}); a.status != http.StatusUnprocessableEntity || strings.Contains(a.body, "ey") && strings.Contains(a.body, "accessToken") {
			t.Errorf("%d %s", a.status, a.body)
		}
		if after := d.state(); after != before {
			t.Errorf("something changed:\n%s\n%s", before, after)
		}
		good = s.postJSON("/token/refresh", members{"refreshToken": good.Refresh}).pair(t)
		// Requests of a disabled client get no Basic challenge either: it would make
		// browsers ask people for a password. Only a request that used Basic gets one.
		d.must("client", "disable", "mobile")
		for path, body := range map[string]members{"/login": in(), "/token/refresh": {"refreshToken": good.Refresh}, "/token/logout": {"refreshToken": good.Refresh}} {
			a := s.postJSON(path, body)
			if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || a.json(t)["error"] != "invalid_client" || challenge == "" || strings.Contains(challenge, "Basic") {
				t.Errorf("%s: %d %s %v", path, a.status, a.body, a.header)
			}
		}
		wrong := s.postJSON("/login", in("client_id", ""), "Authorization", basic("mobile", "x"))
		if wrong.status != http.StatusUnauthorized || !strings.HasPrefix(wrong.header.Get("WWW-Authenticate"), "Basic") {
			t.Errorf("%d %s %v", wrong.status, wrong.body, wrong.header)
		}
		if strings.Contains(s.log.String(), goodPassword) || strings.Contains(s.log.String(), url.QueryEscape(goodPassword)) || strings.Contains(s.log.String(), good.Refresh) {
			t.Error("a secret is in the log")
		}
	})
}

// refreshCookie is the name of the cookie that holds a client's refresh token.
func refreshCookie(client string) string {
	sum := sha256.Sum256([]byte(client))
	return "__Secure-ingam_refresh_" + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

// swapped returns a token with another payload and the old signature.
func swapped(t testing.TB, token string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	claims := part(t, token, 1)
	claims["gen"] = 99
	b, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(b) + "." + parts[2]
}

func TestABrowserAppNeverSeesItsRefreshToken(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	const origin = "http://127.0.0.1:5173"
	d.signInApp("spa", "--origin", origin)
	d.signInApp("mobile")
	d.user("minji")
	login := members{"id": "minji", "pw": goodPassword, "client_id": "spa"}
	a := s.postJSON("/login", login, "Origin", origin)
	in := a.pair(t)
	cookies := (&http.Response{Header: a.header}).Cookies()
	if in.Refresh != "" || len(cookies) != 2 || cookies[0].Name != "ingam_device" || strings.Contains(a.body, cookies[1].Value) {
		t.Fatalf("%s %v", a.body, cookies)
	}
	cookie := cookies[1]
	if !strings.HasPrefix(cookie.Name, "__Secure-") || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/token" || cookie.Domain != "" || cookie.MaxAge != 7*24*3600 {
		t.Errorf("%+v", cookie)
	}
	if a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Allow-Credentials") != "true" || !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
		t.Errorf("%v", a.header)
	}
	with := []string{"Origin", origin, "Cookie", cookie.Name + "=" + cookie.Value}
	refreshed := s.postJSON("/token/refresh", members{}, with...)
	next := (&http.Response{Header: refreshed.header}).Cookies()
	if p := refreshed.pair(t); p.Refresh != "" || len(next) != 1 || next[0].Value == cookie.Value {
		t.Errorf("%+v %v", p, next)
	}
	// Another tab sends the previous cookie a moment later.
	tab := s.postJSON("/token/refresh", members{"client_id": "spa"}, with...)
	if got := (&http.Response{Header: tab.header}).Cookies(); tab.pair(t).Access == "" || len(got) != 1 || got[0].Value != next[0].Value {
		t.Errorf("another tab gets %v", got)
	}
	for what, c := range map[string]struct {
		path   string
		body   members
		fields []string
		status int
	}{
		"no origin":             {"/login", login, nil, 403},
		"another origin":        {"/login", login, []string{"Origin", "http://127.0.0.1:5174"}, 403},
		"another site":          {"/login", login, []string{"Origin", "https://evil.test"}, 403},
		"null":                  {"/login", login, []string{"Origin", "null"}, 403},
		"a refresh from there":  {"/token/refresh", members{}, []string{"Origin", "https://evil.test", "Cookie", cookie.Name + "=" + next[0].Value}, 403},
		"a refresh in the body": {"/token/refresh", members{"refreshToken": next[0].Value}, []string{"Origin", origin}, 400},
		"no cookie":             {"/token/refresh", members{}, []string{"Origin", origin}, 401},
		"a device in the body":  {"/login", members{"id": "minji", "pw": goodPassword, "client_id": "spa", "deviceToken": "x"}, []string{"Origin", origin}, 400},
		"a logout from there":   {"/token/logout", members{}, []string{"Origin", "https://evil.test", "Cookie", cookie.Name + "=" + next[0].Value}, 403},
	} {
		if got := s.postJSON(c.path, c.body, c.fields...); got.status != c.status || len(got.header.Values("Set-Cookie")) != 0 {
			t.Errorf("%s: %d %s", what, got.status, got.body)
		}
	}
	preflight := func(path, origin string) answer {
		return s.ask(http.MethodOptions, path, "Origin", origin, "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
	}
	for _, path := range []string{"/login", "/token/refresh", "/token/logout"} {
		if got := preflight(path, origin); got.header.Get("Access-Control-Allow-Origin") != origin || got.header.Get("Access-Control-Allow-Headers") != "Content-Type" || got.header.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: %v", path, got.header)
		}
		if got := preflight(path, "https://evil.test"); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	// Other endpoints do not allow credentials.
	if got := preflight("/oauth2/token", origin); got.header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", got.header)
	}
	// The standard token endpoint refuses the refresh token from the cookie.
	wantRefused(t, "at the token endpoint", s.post("/oauth2/token", "", "", url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {next[0].Value}}), 400, "unauthorized_client")
	out := s.postJSON("/token/logout", members{}, "Origin", origin, "Cookie", cookie.Name+"="+next[0].Value)
	gone := (&http.Response{Header: out.header}).Cookies()
	if out.status != http.StatusNoContent || len(gone) != 1 || gone[0].MaxAge >= 0 {
		t.Errorf("%d %v", out.status, gone)
	}
	if got := s.postJSON("/token/refresh", members{}, "Origin", origin, "Cookie", cookie.Name+"="+next[0].Value); got.status != http.StatusUnauthorized {
		t.Errorf("after signing out: %d", got.status)
	}
}

// ask requests a code by a challenge. It sends all required parameters, with the
// changes given in pairs.
func (a app) ask(s *server, changed ...string) answer {
	form := url.Values{
		"client_id": {a.id}, "username": {"minji"}, "password": {goodPassword}, "response_type": {"code"}, "scope": {"read"},
		"code_challenge": {a.challenge()}, "code_challenge_method": {"S256"},
	}
	for i := 0; i+1 < len(changed); i += 2 {
		if form.Set(changed[i], changed[i+1]); changed[i+1] == "" {
			form.Del(changed[i])
		}
	}
	return s.post("/oauth2/authorize-challenge", "", "", form)
}

// asked returns the code from the answer to a challenge.
func (a answer) asked(t testing.TB) string {
	t.Helper()
	code, _ := a.json(t)["authorization_code"].(string)
	if a.status != http.StatusOK || code == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	return code
}

// TestAnAppGetsACodeByAChallenge: the app posts the user's credentials, gets a code, and
// redeems it at the token endpoint (draft-ietf-oauth-first-party-apps).
func TestAnAppGetsACodeByAChallenge(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start("INGAM_THROTTLE_SIGN_IN_FAILURES=1000")
		d.signInApp("mobile", "--scope", "openid read write")
		d.signInApp("spa", "--origin", "http://127.0.0.1:5173")
		web := d.webClient("web")
		d.user("minji")
		api := d.client("api")
		a := app{id: "mobile", verifier: strings.Repeat("v", 43)}
		if metadata := s.get("/.well-known/oauth-authorization-server").json(t); metadata["authorization_challenge_endpoint"] != d.issuer+"/oauth2/authorize-challenge" {
			t.Errorf("%v", metadata["authorization_challenge_endpoint"])
		}
		hint := a.redeem(s, a.ask(s, "scope", "openid").asked(t), "redirect_uri", "").tokens(t).ID
		sessions := func() string { return d.must("session", "list", "--user", "minji", "--json") }
		before, begun := d.state(), sessions()
		for what, c := range map[string]struct {
			changed []string
			status  int
			code    string
		}{
			"nothing yet":                {[]string{"username", "", "password", ""}, 403, "insufficient_authorization"},
			"no password":                {[]string{"password", ""}, 403, "insufficient_authorization"},
			"a wrong password":           {[]string{"password", "wrong"}, 403, "insufficient_authorization"},
			"nobody":                     {[]string{"username", "nobody"}, 403, "insufficient_authorization"},
			"an address by anyone":       {[]string{"address", "192.0.2.1"}, 400, "invalid_request"},
			"no challenge":               {[]string{"code_challenge", ""}, 400, "invalid_request"},
			"plain":                      {[]string{"code_challenge_method", "plain"}, 400, "invalid_request"},
			"another scope":              {[]string{"scope", "admin"}, 400, "invalid_scope"},
			"another response type":      {[]string{"response_type", "token"}, 400, "unsupported_response_type"},
			"a request object":           {[]string{"request", "x"}, 400, "request_not_supported"},
			"one elsewhere":              {[]string{"request_uri", "https://evil.test"}, 400, "request_uri_not_supported"},
			"a registration":             {[]string{"registration", "{}"}, 400, "registration_not_supported"},
			"an unknown response mode":   {[]string{"response_mode", "fragment"}, 400, "invalid_request"},
			"silence":                    {[]string{"prompt", "none"}, 400, "login_required"},
			"consent":                    {[]string{"prompt", "login consent"}, 400, "consent_required"},
			"an unknown prompt":          {[]string{"prompt", "create"}, 400, "invalid_request"},
			"no age":                     {[]string{"max_age", "-1"}, 400, "invalid_request"},
			"an unregistered address":    {[]string{"redirect_uri", callback}, 400, "invalid_request"},
			"someone's ID token":         {[]string{"id_token_hint", hint}, 400, "invalid_request"},
			"nobody's ID token":          {[]string{"id_token_hint", "x"}, 400, "invalid_request"},
			"a nonce that is no text":    {[]string{"nonce", "a\x00b"}, 400, "invalid_request"},
			"a long nonce":               {[]string{"nonce", strings.Repeat("n", 1025)}, 400, "invalid_request"},
			"a password that is no text": {[]string{"password", goodPassword + "\x00"}, 400, "invalid_request"},
			"a standard client":          {[]string{"client_id", web.id}, 400, "unauthorized_client"},
			"one with a cookie":          {[]string{"client_id", "spa"}, 403, "invalid_request"},
		} {
			if got := a.ask(s, c.changed...); got.status != c.status || got.json(t)["error"] != c.code {
				t.Errorf("%s: %d %s, want %d %s", what, got.status, got.body, c.status, c.code)
			}
		}
		if a, b := a.ask(s, "password", "wrong"), a.ask(s, "username", "nobody"); a.body != b.body {
			t.Errorf("%s is not %s", a.body, b.body)
		}
		if after := d.state(); after != before || sessions() != begun {
			t.Errorf("something changed:\n%s\n%s\n%s", before, after, sessions())
		}
		// A busy server may log errors while it starts, about readiness for example. Only
		// those of the endpoints matter here.
		if errs := regexp.MustCompile(`.*"level":"ERROR".*/oauth2/.*`).FindAllString(s.log.String(), -1); errs != nil {
			t.Errorf("the log has errors: %s", errs)
		}
		// These parameters ask for a fresh sign-in, and the password is one.
		code := a.ask(s, "response_type", "", "prompt", "login", "max_age", "0", "login_hint", "minji", "nonce", strings.Repeat("n", 1024)).asked(t)
		wantRefused(t, "without its verifier", a.redeem(s, code, "redirect_uri", "", "code_verifier", strings.Repeat("w", 43)), 400, "invalid_grant")
		set := a.redeem(s, code, "redirect_uri", "").tokens(t)
		if set.Scope != "read" || set.Refresh == "" || !s.active("api", api, set.Access) {
			t.Errorf("%+v", set)
		}
		next := a.refresh(s, set.Refresh).tokens(t)
		wantRefused(t, "the code again", a.redeem(s, code, "redirect_uri", ""), 400, "invalid_grant")
		wantRefused(t, "a refresh after that", a.refresh(s, next.Refresh), 400, "invalid_grant")
	})
}

// TestAFirstPartyAppGetsFromABrowserWhatItIsRegisteredFor: a client may use both the
// challenge endpoint and a browser. With a code from the challenge endpoint it gets a
// refresh token. With a code from a browser it gets one only if it is registered for
// that.
func TestAFirstPartyAppGetsFromABrowserWhatItIsRegisteredFor(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.signInApp("both", "--grant", "authorization_code", "--redirect-uri", callback)
	d.user("minji")
	a := app{id: "both", verifier: strings.Repeat("v", 43)}
	for what, addressed := range map[string][]string{"an address": {"scope", "read"}, "none": {"scope", "read", "redirect_uri", ""}} {
		code := s.person().signIn("minji", a.request(addressed...)).Get("code")
		wantRefused(t, "a code made another", a.redeem(s, "own-"+code), 400, "invalid_grant")
		if set := a.redeem(s, code).tokens(t); set.Access == "" || set.Refresh != "" {
			t.Errorf("with %s: %+v", what, set)
		}
	}
	if set := a.redeem(s, a.ask(s).asked(t), "redirect_uri", "").tokens(t); set.Refresh == "" {
		t.Errorf("%+v", set)
	} else {
		a.refresh(s, set.Refresh).tokens(t)
	}
	// A redirect_uri in the challenge is bound to the code, as everywhere. There is a
	// refresh token all the same.
	code := a.ask(s, "redirect_uri", callback).asked(t)
	wantRefused(t, "with another", a.redeem(s, code, "redirect_uri", "https://evil.test"), 400, "invalid_grant")
	wantRefused(t, "as a browser's", a.redeem(s, strings.TrimPrefix(code, "own-")), 400, "invalid_grant")
	if set := a.redeem(s, code).tokens(t); set.Refresh == "" {
		t.Errorf("%+v", set)
	}
	if set := a.redeem(s, a.ask(s, "redirect_uri", callback).asked(t), "redirect_uri", "").tokens(t); set.Refresh == "" {
		t.Errorf("without the address: %+v", set)
	}
	if in := s.postJSON("/login", members{"id": "minji", "pw": goodPassword, "client_id": "both"}).pair(t); in.Refresh == "" {
		t.Errorf("%+v", in)
	}
}
