package processes

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestPeopleAreSentOnlyWhereTheClientIsRegistered(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	web := d.webClient("web", "--auth", "client_secret_basic")
	bye := d.webClient("bye", "--post-logout-redirect-uri", "https://app.test", "--post-logout-redirect-uri", "http://localhost:3000/bye?x=1")
	const scheme = "cursor://vendor.tool/oauth/callback"
	e := d.command("", nil, "client", "create", "--id", "editor", "--name", "Editor", "--grant", "authorization_code", "--redirect-uri", scheme,
		"--scope", "openid", "--auth", "none", "--skip-consent")
	if e.status != 0 || !strings.Contains(e.stderr, "any program on a device can claim the scheme cursor:") || strings.Contains(e.stdout, "claim") {
		t.Fatalf("%d %q %q", e.status, e.stdout, e.stderr)
	}
	const home = "http://nas.home.arpa:8123/cb"
	e = d.command("", nil, "client", "create", "--id", "nas", "--name", "NAS", "--grant", "authorization_code", "--redirect-uri", home, "--redirect-uri", "http://app.localhost/cb",
		"--scope", "openid", "--auth", "client_secret_basic", "--insecure-redirects")
	if e.status != 0 || !strings.Contains(e.stderr, "http://nas.home.arpa:8123/cb is not encrypted") {
		t.Fatalf("%d %q", e.status, e.stderr)
	}
	d.user("minji")
	p := s.person()
	p.signIn("minji", web.request())

	editor := app{id: "editor", verifier: web.verifier}
	for range 2 { // the user is asked despite --skip-consent and an earlier consent: another program may have claimed the scheme
		sc := p.get(editor.request("redirect_uri", scheme, "scope", "openid"))
		if !strings.Contains(sc.body, `name="decision"`) || !strings.Contains(sc.body, "<strong><bdi>cursor:</bdi></strong>") {
			t.Fatalf("not asked: %d to %q %s", sc.status, sc.to, sc.body)
		}
		if sc = sc.submit("decision", "allow"); !strings.HasPrefix(sc.to, scheme+"?") || sc.response().Get("code") == "" {
			t.Errorf("%d to %q", sc.status, sc.to)
		}
	}
	if r := p.get(editor.request("redirect_uri", scheme, "scope", "openid", "prompt", "none")).response(); r.Get("error") != "consent_required" || !strings.Contains(r.Get("error_description"), "claim") {
		t.Errorf("silently: %v", r)
	}
	if r := p.get(editor.request("redirect_uri", scheme, "scope", "openid", "response_mode", "form_post")).response(); r.Get("error") != "invalid_request" {
		t.Errorf("posted: %v", r)
	}
	nas := app{id: "nas", verifier: web.verifier}
	for _, address := range []string{home, "http://app.localhost/cb", "http://app.localhost:5000/cb"} {
		sc := p.get(nas.request("redirect_uri", address, "scope", "openid"))
		if strings.Contains(sc.body, `name="decision"`) {
			sc = sc.submit("decision", "allow")
		}
		if !strings.HasPrefix(sc.to, address+"?") || sc.response().Get("code") == "" {
			t.Errorf("%s: %d to %q", address, sc.status, sc.to)
		}
	}
	for _, address := range []string{"http://nas.home.arpa:8124/cb", "http://nas.home.arpa/cb", "http://app.localhost:65536/cb", "http://other.localhost/cb"} {
		if sc := p.get(nas.request("redirect_uri", address, "scope", "openid")); sc.to != "" || sc.status != http.StatusBadRequest {
			t.Errorf("%s: %d to %q", address, sc.status, sc.to)
		}
	}

	for _, c := range []struct{ client, asked, to string }{
		{bye.id, "https://app.test", "https://app.test?state=s"},
		{bye.id, "https://app.test/", "https://app.test?state=s"},
		{bye.id, "http://localhost:4000/bye?x=1", "http://localhost:4000/bye?x=1&state=s"},
		{web.id, callback, callback + "?state=s"},
		{bye.id, callback, ""},
		{bye.id, "http://localhost:65536/bye?x=1", ""},
		{bye.id, "http://127.0.0.1:3000/bye?x=1", ""},
		{web.id, callback + "/", ""},
		{web.id, "https://evil.test/cb", ""},
	} {
		q := s.person()
		q.get("/login").submit("username", "minji", "password", goodPassword)
		sc := q.get("/logout?" + url.Values{"client_id": {c.client}, "post_logout_redirect_uri": {c.asked}, "state": {"s"}}.Encode())
		if sc.form != nil {
			sc = sc.submit("decision", "out")
		}
		if sc.to != c.to {
			t.Errorf("%s at %s leads to %q, not %q", c.client, c.asked, sc.to, c.to)
		}
	}
}

func TestTheAudienceIsWhatIsRegisteredHoweverItIsSpelt(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.must("api", "create", "--audience", "https://slash.test/", "--name", "Slash", "--scope", "read")
	// The client is registered with the other spelling, and gets the spelling of the API.
	a := d.webClient("app", "--auth", "client_secret_basic", "--audience", "https://slash.test", "--grant", "client_credentials")
	var shown clientJSON
	if d.mustJSON(&shown, "client", "show", "app"); !slices.Equal(shown.Audiences, []string{"https://api.test", "https://slash.test/"}) {
		t.Errorf("%q", shown.Audiences)
	}
	for audience, spelling := range map[string]string{"https://api.test": "https://api.test/", "https://slash.test/": "https://slash.test"} {
		if e := d.command("", nil, "api", "create", "--audience", spelling, "--name", "N", "--scope", "read"); e.status != 1 || !strings.Contains(e.stderr, audience) {
			t.Errorf("%s beside %s: %d %s", spelling, audience, e.status, e.stderr)
		}
	}
	if e := d.command("", nil, "client", "create", "--id", "x", "--name", "X", "--auth", "client_secret_basic", "--audience", "https://api.test", "--audience", "https://api.test/"); e.status != 1 {
		t.Errorf("an audience in two spellings: %d", e.status)
	}
	d.user("minji")
	p := s.person()
	for _, name := range []string{"resource", "audience"} {
		for audience, spellings := range map[string][]string{"https://api.test": {"https://api.test", "https://api.test/"}, "https://slash.test/": {"https://slash.test/", "https://slash.test"}} {
			for _, spelling := range spellings {
				set := a.tokens(s, p, "minji", name, spelling)
				for what, token := range map[string]string{
					"authorize":          set.Access,
					"code":               a.redeem(s, p.signIn("minji", a.request(name, audience)).Get("code"), name, spelling).tokens(t).Access,
					"refresh":            a.refresh(s, set.Refresh, name, spelling).tokens(t).Access,
					"client_credentials": s.token(a.id, a.secret, name, spelling),
				} {
					if got := part(t, token, 1)["aud"]; got != audience {
						t.Errorf("%s with %s=%s is for %v", what, name, spelling, got)
					}
					if !s.active(a.id, a.secret, token) {
						t.Errorf("%s with %s=%s is not active", what, name, spelling)
					}
				}
			}
		}
	}
	wantRefused(t, "an address below", a.post(s, url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test/x"}}), 400, "invalid_target")
	wantRefused(t, "another query", a.post(s, url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test/?x"}}), 400, "invalid_target")
	both := a.post(s, url.Values{"grant_type": {"client_credentials"}, "resource": {"https://api.test", "https://api.test/"}}).tokens(t)
	if got := part(t, both.Access, 1)["aud"]; got != "https://api.test" {
		t.Errorf("asked for in two spellings: %v", got)
	}
}

func TestASecretIsShownInEitherWayAtEveryEndpoint(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	d.user("minji")
	for _, registered := range []string{"client_secret_basic", "client_secret_post"} {
		id := strings.TrimPrefix(registered, "client_secret_")
		secret := d.client(id, "--auth", registered)
		var own clientJSON
		d.mustJSON(&own, "client", "create", "--id", id+"-own", "--name", "Own", "--grant", "first_party", "--scope", "read", "--audience", "https://api.test", "--auth", registered)
		if own.Auth != registered {
			t.Errorf("%s is shown as %s", registered, own.Auth)
		}
		// way adds the credentials to a request: to the form, or as the header fields
		// that it returns.
		type way func(id, secret string, form url.Values) (url.Values, []string)
		ways := map[string]way{
			"in the header": func(id, secret string, form url.Values) (url.Values, []string) {
				return form, []string{"Authorization", basic(id, secret)}
			},
			"in the header, named in the body": func(id, secret string, form url.Values) (url.Values, []string) {
				form.Set("client_id", id)
				return form, []string{"Authorization", basic(id, secret)}
			},
			"in the body": func(id, secret string, form url.Values) (url.Values, []string) {
				form.Set("client_id", id)
				form.Set("client_secret", secret)
				return form, nil
			},
			"in the body, beside a Bearer token": func(id, secret string, form url.Values) (url.Values, []string) {
				form.Set("client_id", id)
				form.Set("client_secret", secret)
				return form, []string{"Authorization", "bearer x"}
			},
		}
		for how, add := range ways {
			what := registered + ", " + how
			ask := func(path, id, secret string, fields ...string) answer {
				form := url.Values{}
				for i := 0; i+1 < len(fields); i += 2 {
					form.Set(fields[i], fields[i+1])
				}
				form, header := add(id, secret, form)
				return s.raw(path, form.Encode(), header...)
			}
			token := ask("/oauth2/token", id, secret, "grant_type", "client_credentials").tokens(t).Access
			if got := ask("/oauth2/introspect", id, secret, "token", token); got.status != http.StatusOK || got.json(t)["active"] != true {
				t.Errorf("%s: introspection: %d %s", what, got.status, got.body)
			}
			// An authenticated client is told that there is no such listener.
			if got := ask("/oauth2/status/events/ack", id, secret, "listener", "x", "id", "1"); got.status != http.StatusNotFound {
				t.Errorf("%s: acknowledgement: %d %s", what, got.status, got.body)
			}
			if got := ask("/oauth2/revoke", id, secret, "token", token); got.status != http.StatusOK || s.active(id, secret, token) {
				t.Errorf("%s: revocation: %d %s", what, got.status, got.body)
			}
			code := ask("/oauth2/authorize-challenge", own.ID, own.ClientSecret, "scope", "read", "username", "minji", "password", goodPassword,
				"code_challenge", app{verifier: strings.Repeat("v", 43)}.challenge(), "code_challenge_method", "S256")
			if code.status != http.StatusOK {
				t.Errorf("%s: challenge: %d %s", what, code.status, code.body)
				continue
			}
			redeem := []string{"grant_type", "authorization_code", "code", code.json(t)["authorization_code"].(string), "code_verifier", strings.Repeat("v", 43)}
			for _, wrong := range []string{"", "wrong", secret} {
				wantRefused(t, what+": a code with the secret "+wrong, ask("/oauth2/token", own.ID, wrong, redeem...), 401, "invalid_client")
				wantRefused(t, what+": introspection with the secret "+wrong, ask("/oauth2/introspect", own.ID, wrong, "token", token), 401, "invalid_client")
				wantRefused(t, what+": revocation with the secret "+wrong, ask("/oauth2/revoke", own.ID, wrong, "token", token), 401, "invalid_client")
			}
			set := ask("/oauth2/token", own.ID, own.ClientSecret, redeem...).tokens(t)
			// The client is authenticated before the code is looked at. So this is no
			// replay, and revokes nothing.
			wantRefused(t, what+": a used code with a wrong secret", ask("/oauth2/token", own.ID, "wrong", redeem...), 401, "invalid_client")
			set = ask("/oauth2/token", own.ID, own.ClientSecret, "grant_type", "refresh_token", "refresh_token", set.Refresh).tokens(t)
			if set.Refresh == "" {
				t.Errorf("%s: no refresh token", what)
			}
		}
		// JSON cannot contain the client's secret, but the header can.
		header := []string{"Content-Type", "application/json", "Authorization", basic(own.ID, own.ClientSecret)}
		login := s.raw("/login", `{"username": "minji", "password": "`+goodPassword+`"}`, header...)
		if login.status != http.StatusOK {
			t.Fatalf("%s: login: %d %s", registered, login.status, login.body)
		}
		refresh := s.raw("/token/refresh", `{"refreshToken": "`+login.json(t)["refreshToken"].(string)+`"}`, header...)
		if refresh.status != http.StatusOK {
			t.Errorf("%s: refresh: %d %s", registered, refresh.status, refresh.body)
		}
		header[3] = basic(own.ID, "")
		wantRefused(t, registered+": login without the secret", s.raw("/login", `{"username": "minji", "password": "`+goodPassword+`"}`, header...), 401, "invalid_client")
	}
	document := s.get("/.well-known/openid-configuration").json(t)
	for member, want := range map[string][]any{
		"token_endpoint_auth_methods_supported":         {"client_secret_basic", "client_secret_post", "none"},
		"revocation_endpoint_auth_methods_supported":    {"client_secret_basic", "client_secret_post", "none"},
		"introspection_endpoint_auth_methods_supported": {"client_secret_basic", "client_secret_post"},
	} {
		if got, _ := document[member].([]any); !slices.Equal(got, want) {
			t.Errorf("%s: %v", member, got)
		}
	}
}

// TestASecretOfAnyCharactersIsShownAsLibrariesWriteIt: some libraries encode the secret
// for the header as RFC 6749 section 2.3.1 says, and others do not.
func TestASecretOfAnyCharactersIsShownAsLibrariesWriteIt(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	const grant = "grant_type=client_credentials"
	for id, secret := range map[string]string{
		"plus": "q83vEjRWeJCrze8SNFZ4kKvN7xI0Vn+/+A==", "percent": "100%-of-32-characters-and-more-%zz", "encoded": "a%2Bb%20c-of-32-characters-and-more", "colon": "a:b: c &=;\"-of-32-characters-and-more",
	} {
		file := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		d.client(id, "--secret-file", file)
		for how, got := range map[string]answer{
			"encoded":     s.raw("/oauth2/token", grant, "Authorization", basic(id, url.QueryEscape(secret))),
			"with %20":    s.raw("/oauth2/token", grant, "Authorization", basic(id, url.PathEscape(secret))),
			"as it is":    s.raw("/oauth2/token", grant, "Authorization", basic(id, secret)),
			"in the body": s.raw("/oauth2/token", grant+"&client_id="+id+"&client_secret="+url.QueryEscape(secret)),
		} {
			if got.status != http.StatusOK && (how != "with %20" || !strings.Contains(secret, "+")) { // PathEscape does not encode a plus
				t.Errorf("%s %s: %d %s", id, how, got.status, got.body)
			}
		}
		for how, got := range map[string]answer{
			"encoded twice":          s.raw("/oauth2/token", grant, "Authorization", basic(id, url.QueryEscape(url.QueryEscape(secret)))),
			"with something behind":  s.raw("/oauth2/token", grant, "Authorization", basic(id, secret+"%")),
			"encoded in the body":    s.raw("/oauth2/token", grant+"&client_id="+id+"&client_secret="+url.QueryEscape(url.QueryEscape(secret))),
			"an id that is no id":    s.raw("/oauth2/token", grant, "Authorization", basic("%zz", secret)),
			"another one of the two": s.raw("/oauth2/token", grant, "Authorization", basic("plus%00", secret)),
		} {
			wantRefused(t, id+" "+how, got, 401, "invalid_client")
		}
	}
}

func TestAClientWithoutASecretNamesItselfInEitherWay(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=2", "INGAM_THROTTLE_WINDOW=1h")
	a := d.webClient("app")
	secret := d.client("machine")
	d.must("client", "create", "--id", "own", "--name", "Own", "--grant", "first_party", "--scope", "read", "--audience", "https://api.test", "--auth", "none")
	d.user("minji")
	p := s.person()
	ways := map[string]struct {
		body   string
		fields []string
	}{
		"in the header, as Go's oauth2 tries first": {"", []string{"Authorization", basic("app", "")}},
		"in both":                   {"&client_id=app", []string{"Authorization", basic("app", "")}},
		"in the body":               {"&client_id=app", nil},
		"with an empty secret":      {"&client_id=app&client_secret=", nil},
		"beside a Bearer token":     {"&client_id=app", []string{"Authorization", "Bearer abc"}},
		"empty in the body":         {"&client_id=&client_secret=", []string{"Authorization", basic("app", "")}},
		"beside Bearer and nothing": {"&client_id=app", []string{"Authorization", "bearer"}},
	}
	for how, c := range ways {
		form := url.Values{"grant_type": {"authorization_code"}, "code": {p.signIn("minji", a.request()).Get("code")}, "redirect_uri": {callback}, "code_verifier": {a.verifier}}
		set := s.raw("/oauth2/token", form.Encode()+c.body, c.fields...).tokens(t)
		set = s.raw("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {set.Refresh}}.Encode()+c.body, c.fields...).tokens(t)
		if got := s.raw("/oauth2/introspect", "token="+set.Access+c.body, c.fields...); got.status != http.StatusUnauthorized {
			t.Errorf("%s: introspection: %d %s", how, got.status, got.body)
		}
		if got := s.raw("/oauth2/revoke", "token="+set.Refresh+c.body, c.fields...); got.status != http.StatusOK || s.active("machine", secret, set.Access) {
			t.Errorf("%s: revocation: %d %s", how, got.status, got.body)
		}
	}
	for how, fields := range map[string][]string{
		"in JSON":                  {"", ""},
		"in the header":            {"Authorization", basic("own", "")},
		"in JSON, beside a Bearer": {"Authorization", "Bearer abc"},
	} {
		named, header := `"client_id": "own", `, append([]string{"Content-Type", "application/json"}, fields...)
		if how == "in the header" {
			named = ""
		}
		login := s.raw("/login", `{`+named+`"username": "minji", "password": "`+goodPassword+`"}`, header...)
		if login.status != http.StatusOK {
			t.Fatalf("%s: login: %d %s", how, login.status, login.body)
		}
		token := login.json(t)["refreshToken"].(string)
		if got := s.raw("/token/refresh", `{"refreshToken": "`+token+`"}`, header...); got.status != http.StatusOK {
			t.Errorf("%s: refresh: %d %s", how, got.status, got.body)
		}
	}
	// Nothing above was a failed attempt. The requests below are.
	for i, want := range []int{401, 401, 429} {
		if got := s.raw("/oauth2/token", "grant_type=refresh_token&refresh_token=x", "Authorization", basic("app", "guess")); got.status != want {
			t.Errorf("failure %d: %d %s", i+1, got.status, got.body)
		}
	}
	for i, want := range []int{401, 401, 429} {
		if got := s.raw("/oauth2/token", "grant_type=client_credentials", "Authorization", basic("machine", "")); got.status != want {
			t.Errorf("a client with a secret that shows none, %d: %d %s", i+1, got.status, got.body)
		}
	}
}

func TestWhatMustBindACode(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	d.user("minji")
	p := s.person()
	public := d.webClient("public")
	confidential := func(id string, more ...string) app {
		return d.webClient(id, append(more, "--auth", "client_secret_basic", "--skip-consent")...)
	}
	apps := map[string]app{
		"required": confidential("required", "--pkce", "required"), "nonce": confidential("nonce"), "optional": confidential("optional", "--pkce", "optional"),
	}
	for rule := range apps {
		var shown clientJSON
		if d.mustJSON(&shown, "client", "show", rule); shown.PKCE != rule {
			t.Errorf("%s is registered with %s", rule, shown.PKCE)
		}
		if text := d.must("client", "show", rule); !strings.Contains(strings.Join(strings.Fields(text), " "), "PKCE "+rule) {
			t.Errorf("%s is shown as\n%s", rule, text)
		}
	}
	var shown clientJSON
	if d.mustJSON(&shown, "client", "show", "public"); shown.PKCE != "required" {
		t.Errorf("a public client is registered with %s", shown.PKCE)
	}
	for _, args := range [][]string{
		{"--auth", "none", "--pkce", "nonce"}, {"--auth", "none", "--pkce", "optional"}, {"--auth", "client_secret_basic", "--pkce", "plain"},
		{"--auth", "client_secret_basic", "--pkce", "optional", "--insecure-redirects", "--redirect-uri", "http://nas.test/cb"},
	} {
		e := d.command("", nil, append([]string{"client", "create", "--id", "x", "--name", "X", "--grant", "authorization_code", "--redirect-uri", callback}, args...)...)
		if e.status != 1 || !strings.Contains(e.stderr, "PKCE") || !strings.Contains(e.stderr, "required") {
			t.Errorf("%q: %d %s", args, e.status, e.stderr)
		}
	}
	p.signIn("minji", public.request())

	// These change the request, so that it lacks the challenge, the nonce, or the scope
	// openid. Without openid there is no ID token in which the client could find the
	// nonce.
	nothing, nonce := []string{"code_challenge", "", "code_challenge_method", "", "nonce", ""}, []string{"code_challenge", "", "code_challenge_method", ""}
	noID := append([]string{"scope", "read"}, nonce...)
	challenge := []string{"nonce", ""}
	for rule, c := range map[string]struct{ allowed, refused [][]string }{
		"required": {[][]string{challenge}, [][]string{nonce, noID, nothing}},
		"nonce":    {[][]string{challenge, nonce}, [][]string{noID, nothing}},
		"optional": {[][]string{challenge, nonce, noID, nothing}, nil},
	} {
		a := apps[rule]
		for _, changed := range c.allowed {
			bound := !slices.Contains(changed, "code_challenge")
			verifier := ""
			if bound {
				verifier = a.verifier
			}
			code := p.get(a.request(changed...)).response().Get("code")
			before := d.state()
			if bound {
				wantRefused(t, rule+": no verifier", a.redeem(s, code, "code_verifier", ""), 400, "invalid_request")
				wantRefused(t, rule+": a wrong verifier", a.redeem(s, code, "code_verifier", strings.Repeat("x", 43)), 400, "invalid_grant")
			} else {
				// A verifier is sent, but the code has no challenge: an attacker may have
				// removed it from the authorization request.
				wantRefused(t, rule+": a verifier without a challenge", a.redeem(s, code), 400, "invalid_grant")
				wantRefused(t, rule+": no redirect_uri without a challenge", a.redeem(s, code, "code_verifier", "", "redirect_uri", ""), 400, "invalid_request")
			}
			wantRefused(t, rule+": another redirect_uri", a.redeem(s, code, "code_verifier", verifier, "redirect_uri", callback+"/"), 400, "invalid_grant")
			other := apps["optional"]
			if rule == "optional" {
				other = apps["nonce"]
			}
			other.verifier = a.verifier
			wantRefused(t, rule+": another client", other.redeem(s, code, "code_verifier", verifier), 400, "invalid_grant")
			if after := d.state(); after != before {
				t.Errorf("something changed:\n%s\n%s", before, after)
			}
			set := a.redeem(s, code, "code_verifier", verifier).tokens(t)
			if slices.Contains(changed, "scope") {
				continue
			}
			if got := part(t, set.ID, 1)["nonce"]; slices.Contains(changed, "nonce") != (got == nil) {
				t.Errorf("%s with %q: the ID token's nonce is %v", rule, changed, got)
			}
		}
		for _, changed := range c.refused {
			sc := p.get(a.request(changed...))
			r := sc.response()
			if r.Get("error") != "invalid_request" || !strings.Contains(r.Get("error_description"), "--pkce "+rule) ||
				!strings.Contains(r.Get("error_description"), "ingam client update "+rule+" --pkce optional") || r.Get("code") != "" || r.Get("state") != "s" {
				t.Errorf("%s with %q: %v", rule, changed, r)
			}
		}
		for what, changed := range map[string][]string{
			"plain": {"code_challenge_method", "plain"}, "plain by default": {"code_challenge_method", ""}, "a method alone": {"code_challenge", ""}, "a short challenge": {"code_challenge", "x"},
		} {
			if r := p.get(a.request(changed...)).response(); r.Get("error") != "invalid_request" {
				t.Errorf("%s, %s: %v", rule, what, r)
			}
		}
	}
	if log := s.log.String(); !strings.Contains(log, "ingam client update nonce --pkce optional") || !strings.Contains(log, "code_verifier without a code_challenge") {
		t.Error("the log does not say what holds and what to set")
	}
	if r := p.get(public.request(nonce...)).response(); r.Get("error") != "invalid_request" || !strings.Contains(r.Get("error_description"), "without a secret must use PKCE") {
		t.Errorf("a public client with a nonce: %v", r)
	}

	// A stricter rule also holds for codes that were issued before it.
	a := apps["optional"]
	code := p.get(a.request(nothing...)).response().Get("code")
	d.must("client", "update", "optional", "--pkce", "nonce")
	wantRefused(t, "a code from before", a.redeem(s, code, "code_verifier", ""), 400, "invalid_grant")
	if r := p.get(a.request(nothing...)).response(); r.Get("error") != "invalid_request" {
		t.Errorf("after the update: %v", r)
	}
	// A client of the challenge endpoint must always use PKCE.
	var own clientJSON
	d.mustJSON(&own, "client", "create", "--id", "own", "--name", "Own", "--grant", "first_party", "--scope", "read", "--audience", "https://api.test", "--auth", "client_secret_basic", "--pkce", "optional")
	got := s.post("/oauth2/authorize-challenge", own.ID, own.ClientSecret, url.Values{"scope": {"read"}, "username": {"minji"}, "password": {goodPassword}})
	wantRefused(t, "a challenge endpoint without a challenge", got, 400, "invalid_request")
}

func TestNewClientsTakeTheServersRuleForPKCE(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	d.must("migrate", "up")
	d.settings = append(d.settings, "INGAM_CLIENTS_PKCE=optional")
	for id, c := range map[string]struct {
		args []string
		pkce string
	}{
		"machine": {[]string{"--grant", "client_credentials", "--auth", "client_secret_post"}, "optional"},
		"web":     {[]string{"--grant", "authorization_code", "--redirect-uri", callback, "--auth", "client_secret_basic"}, "optional"},
		"strict":  {[]string{"--grant", "authorization_code", "--redirect-uri", callback, "--auth", "client_secret_basic", "--pkce", "required"}, "required"},
		"native":  {[]string{"--grant", "authorization_code", "--redirect-uri", callback, "--auth", "none"}, "required"},
		"nas":     {[]string{"--grant", "authorization_code", "--redirect-uri", "http://nas.test/cb", "--auth", "client_secret_basic", "--insecure-redirects"}, "required"},
	} {
		var made clientJSON
		if d.mustJSON(&made, append([]string{"client", "create", "--id", id, "--name", "N"}, c.args...)...); made.PKCE != c.pkce {
			t.Errorf("%s: %s, not %s", id, made.PKCE, c.pkce)
		}
	}
}
