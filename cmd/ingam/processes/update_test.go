package processes

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestAnUpdateReachesEveryServerAndEndsNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		first, second := d.start(), d.startAt(freeAddress(t))
		both := []*server{first, second}
		d.must("api", "create", "--audience", "https://other.test", "--name", "Other", "--scope", "list")
		web := d.webClient("web", "--auth", "client_secret_basic")
		d.must("client", "update", "web", "--add-audience", "https://other.test", "--add-scope", "list")
		resource := d.client("resource") // the API, as a client that introspects
		minji := d.user("minji", "--role", "admin")
		d.must("api", "update", "https://api.test", "--roles")

		introspected := func(s *server, id, secret, token string) map[string]any {
			t.Helper()
			a := s.post("/oauth2/introspect", id, secret, url.Values{"token": {token}})
			if a.status != http.StatusOK {
				t.Fatalf("%d %s", a.status, a.body)
			}
			return a.json(t)
		}
		wantScope := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: the scope is %q, want %q", what, got, want)
			}
		}
		person := first.person()
		set := web.tokens(first, person, "minji", "scope", "openid read write list offline_access")
		wantScope("at first", set.Scope, "openid read write list offline_access")
		whole := set
		refresh := func(s *server) tokenSet {
			t.Helper()
			set = web.refresh(s, set.Refresh).tokens(t)
			if sub := part(t, set.Access, 1)["sub"]; sub != minji.ID {
				t.Errorf("the sub is %v", sub)
			}
			return set
		}

		// A user with a new name keeps the same sub, also where they are signed
		// in.
		d.must("user", "update", "minji", "--username", "minji.kim", "--email", "kim@test.example", "--add-role", "ops")
		for _, s := range both {
			got := refresh(s)
			if roles := part(t, got.Access, 1)["roles"]; len(roles.([]any)) != 2 {
				t.Errorf("the roles are %v", roles)
			}
			claims := s.do(bearer(t, s, got.Access)).json(t)
			if claims["sub"] != minji.ID {
				t.Errorf("userinfo: %v", claims)
			}
		}
		if sc := person.get(web.request("prompt", "none")); sc.response().Get("code") == "" {
			t.Errorf("who is signed in is not any more: %s", sc.to)
		}
		if sc := first.person().get("/login").submit("username", "minji.kim", "password", goodPassword); sc.status >= 400 {
			t.Errorf("signing in by the new name: %d", sc.status)
		}

		// A scope is removed from the client, and another one from an API. Then
		// refreshed tokens and introspection lack both, on each server.
		d.must("client", "update", "web", "--remove-scope", "read")
		d.must("api", "update", "https://other.test", "--scope", "show")
		for _, s := range both {
			wantScope("a refresh", refresh(s).Scope, "openid write offline_access")
			wantScope("introspection", introspected(s, "web", web.secret, whole.Access)["scope"].(string), "openid write offline_access")
			wantScope("introspection by the API", introspected(s, "resource", resource, whole.Access)["scope"].(string), "openid write offline_access")
			if a := web.refresh(s, set.Refresh, "scope", "read"); a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_scope") {
				t.Errorf("a scope that was taken away: %d %s", a.status, a.body)
			}
		}
		// An API that is removed from the client no longer learns about the
		// client's tokens.
		d.must("client", "update", "web", "--remove-audience", "https://api.test", "--remove-scope", "write")
		for _, s := range both {
			if is := introspected(s, "resource", resource, whole.Access); is["active"] != false {
				t.Errorf("a token for an API that was taken away: %v", is)
			}
			if aud := introspected(s, "web", web.secret, whole.Access)["aud"]; strings.Contains(strings.Join(stringsOf(aud), " "), "https://api.test") {
				t.Errorf("its audience is %v", aud)
			}
		}
		// If no scope is left, the tokens stop working, but the grant is not
		// revoked.
		d.must("client", "update", "web", "--scope", "show")
		for _, s := range both {
			if a := web.refresh(s, set.Refresh); a.status != http.StatusBadRequest || a.json(t)["error"] != "invalid_grant" {
				t.Errorf("nothing is left: %d %s", a.status, a.body)
			}
			if is := introspected(s, "web", web.secret, whole.Access); is["active"] != false {
				t.Errorf("a token of which nothing is left: %v", is)
			}
		}
		// When scopes are given back, the grant and the token from before have
		// them again.
		d.must("api", "update", "https://other.test", "--add-scope", "list")
		d.must("client", "update", "web", "--audience", "https://api.test", "--audience", "https://other.test", "--scope", "openid offline_access write read list")
		for _, s := range both {
			wantScope("what is back", refresh(s).Scope, "openid read write list offline_access")
			wantScope("introspection of what is back", introspected(s, "resource", resource, whole.Access)["scope"].(string), "openid read write list offline_access")
		}

		// A scope that another API offers later is left out of the token from
		// before: it was not granted for that API.
		d.must("api", "update", "https://other.test", "--add-scope", "read")
		for _, s := range both {
			wantScope("what came later", introspected(s, "web", web.secret, whole.Access)["scope"].(string), "openid write list offline_access")
		}

		// Each server accepts a new redirect URI, and refuses a removed one, as
		// soon as the command has returned.
		moved := web.request("redirect_uri", "https://moved.test/cb", "prompt", "none")
		d.must("client", "update", "web", "--add-redirect-uri", "https://moved.test/cb")
		for _, s := range both {
			if sc := s.person().get(moved); !strings.HasPrefix(sc.to, "https://moved.test/cb?") {
				t.Errorf("the new address: %d %s", sc.status, sc.to)
			}
		}
		d.must("client", "update", "web", "--remove-redirect-uri", "https://moved.test/cb")
		for _, s := range both {
			if sc := s.person().get(moved); sc.status != http.StatusBadRequest || sc.to != "" {
				t.Errorf("the lost address: %d %s", sc.status, sc.to)
			}
		}
		// When several operators update a client at once, no update undoes
		// another.
		var operators sync.WaitGroup
		for i := range 4 {
			operators.Go(func() {
				if e := d.command("", nil, "client", "update", "web", "--add-redirect-uri", fmt.Sprintf("https://%d.test/cb", i)); e.status != done {
					t.Error(e.stderr)
				}
			})
		}
		operators.Wait()
		var is clientJSON
		d.mustJSON(&is, "client", "show", "web")
		slices.Sort(is.RedirectURIs)
		if got, want := strings.Join(is.RedirectURIs, " "), "https://0.test/cb https://1.test/cb https://2.test/cb https://3.test/cb "+callback; got != want {
			t.Errorf("the addresses are %s", got)
		}
		// A grant type that is removed stops working at once, but the grant is not
		// revoked.
		d.must("client", "update", "web", "--remove-grant", "refresh_token")
		for _, s := range both {
			if is := introspected(s, "web", web.secret, set.Refresh); len(is) != 1 || is["active"] != false {
				t.Errorf("a refresh token without the grant type: %v", is)
			}
			if a := web.refresh(s, set.Refresh); a.status != http.StatusBadRequest || a.json(t)["error"] != "unauthorized_client" {
				t.Errorf("without the grant type: %d %s", a.status, a.body)
			}
		}
		d.must("client", "update", "web", "--add-grant", "refresh_token")
		for _, s := range both {
			refresh(s)
		}
	})
}

// bearer returns a request to the userinfo endpoint.
func bearer(t *testing.T, s *server, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// stringsOf decodes JSON that is one string or a list of strings.
func stringsOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, s := range v {
			all = append(all, s.(string))
		}
		return all
	}
	return nil
}

func TestAnUpdateThatIsRefusedSaysWhyAndChangesNothing(t *testing.T) {
	t.Parallel()
	d := &deployment{t: t}
	environ := []string{"INGAM_ISSUER=https://id.test", "INGAM_DATABASE=sqlite:" + filepath.Join(t.TempDir(), "ingam.db"), "INGAM_CHANGES_STALENESS=100ms"}
	must := func(args ...string) string {
		t.Helper()
		e := run(t, environ, goodPassword, args...)
		if e.status != done {
			t.Fatalf("ingam %q: %s", args, e.stderr)
		}
		return e.stdout
	}
	const a, b = "https://a.test", "https://b.test"
	must("migrate", "up")
	must("api", "create", "--audience", a, "--name", "A", "--scope", "a.read a.write")
	must("api", "create", "--audience", b, "--name", "B", "--scope", "b.read")
	must("client", "create", "--id", "app", "--name", "App", "--grant", "authorization_code,refresh_token", "--redirect-uri", "https://app.test/cb",
		"--scope", "openid a.read", "--audience", a, "--auth", "client_secret_basic", "--pkce", "nonce")
	must("client", "create", "--id", "own", "--name", "Own", "--grant", "first_party", "--scope", "a.read", "--audience", a, "--auth", "none")
	must("user", "create", "--username", "minji", "--role", "ops", "--claims", `{"locale": "ko"}`, "--password-stdin")
	must("user", "create", "--username", "junho", "--email", "junho@example.com", "--password-stdin")
	must("user", "create", "--username", "sora@example.com", "--password-stdin")
	before := must("audit", "list", "--json")

	api := func(more ...string) []string { return append([]string{"api", "update", a}, more...) }
	app := func(more ...string) []string { return append([]string{"client", "update", "app"}, more...) }
	own := func(more ...string) []string { return append([]string{"client", "update", "own"}, more...) }
	minji := func(more ...string) []string { return append([]string{"user", "update", "minji"}, more...) }
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		// Objects that do not exist, and updates that change nothing.
		{failed, "no such API", []string{"api", "update", "https://nowhere.test", "--name", "X"}},
		{failed, "no such API", []string{"api", "show", "https://nowhere.test"}},
		{failed, "no such API", []string{"api", "delete", "https://nowhere.test"}},
		{failed, "no such client", []string{"client", "update", "ghost", "--name", "X"}},
		{failed, "no such user", []string{"user", "update", "ghost", "--email", "x@example.com"}},
		{misuse, "nothing to change", api()},
		{misuse, "nothing to change", app("--reason", "why", "--json")},
		{misuse, "nothing to change", minji()},
		{misuse, "takes 1 argument", []string{"user", "update", "--username", "x"}},
		{misuse, "takes 1 argument", app("own", "--name", "X")},
		// Fields that cannot be changed.
		{misuse, "id cannot be changed", app("--id", "other")},
		{misuse, "whether a client has a secret cannot be changed", app("--auth", "none")},
		{misuse, "client secret add", app("--secret-file", "x")},
		{misuse, "audience cannot be changed", api("--audience", "https://c.test")},
		{misuse, "id cannot be changed", minji("--id", "x")},
		{misuse, "user set-password", minji("--password-stdin")},
		// Values that creating refuses too.
		{failed, "a name has", api("--name", "")},
		{failed, "at least one scope", api("--scope", "")},
		{failed, "at least one scope", api("--remove-scope", "a.read a.write")},
		{failed, "RFC 6749", api("--scope", `a"b`)},
		{failed, "RFC 6749", api("--add-scope", `a"b`)},
		{failed, "access-token life", api("--access-ttl", "1s")},
		{failed, "zero", api("--access-ttl", "0")},
		{misuse, "soon", api("--access-ttl", "soon")},
		{failed, "openid", api("--add-scope", "openid")},
		{failed, "phone", api("--add-scope", "phone")},
		{misuse, "no equals sign", api("--scope-text", "a.read")},
		{failed, `does not offer the scope "b.read"; it offers: a.read a.write`, api("--scope-text", "b.read=x")},
		{failed, `does not offer the scope ""`, api("--scope-text", "=x")},
		{failed, `does not offer the scope "a.write"; it offers: a.read`, api("--remove-scope", "a.write", "--scope-text", "a.write=x")},
		{failed, `does not offer the scope "a.write"; it offers: b.read`, api("--scope", "b.read", "--scope-text-ko", "a.write=")},
		{failed, "--scope-text: the scope a.read is given twice", api("--scope-text", "a.read=x", "--scope-text", "a.read=x")},
		{failed, "1 to 120 characters, this one 121", api("--scope-text", "a.read="+strings.Repeat("가", 121))},
		{failed, "begins or ends with a space", api("--scope-text", "a.read=x ")},
		{failed, "invisible character U+000A", api("--scope-text", "a.read=x\ny")},
		{failed, `the text of the scope a.read (ko): the text "x\u202ey" holds the invisible character U+202E`, api("--name", "Other", "--scope-text", "a.write=fine", "--scope-text-ko", "a.read=x\u202ey")},
		{failed, "javascript", app("--add-redirect-uri", "javascript:alert(1)")},
		{failed, "needs a redirect URI", app("--remove-redirect-uri", "https://app.test/cb")},
		{failed, "needs a redirect URI", app("--redirect-uri", "")},
		{failed, "pkce required", app("--insecure-redirects", "--add-redirect-uri", "http://nas.home:8080/cb")},
		{failed, "insecure-redirects", app("--pkce", "required", "--add-redirect-uri", "http://nas.home:8080/cb")},
		{failed, `unknown rule for PKCE "none"`, app("--pkce", "none")},
		{failed, "PKCE is optional", own("--pkce", "optional")},
		{failed, "b.read", app("--add-scope", "b.read")},
		{failed, "a.read", app("--audience", b)},
		{failed, "a.read", app("--audience", "")},
		{failed, "https://nowhere.test", app("--add-audience", "https://nowhere.test")},
		{failed, "given twice", app("--audience", a, "--audience", a)},
		{failed, "implicit", app("--add-grant", "implicit")},
		{failed, "refresh grace", app("--refresh-grace", "11m")},
		{misuse, "soon", app("--refresh-grace", "soon")},
		{failed, "a name has", app("--name", "")},
		{failed, "without the grant first_party", app("--hold", "cookie")},
		{failed, "origins", own("--add-origin", "https://app.id.test")},
		{failed, "is not on the site of the issuer https://id.test", own("--hold", "cookie", "--add-origin", "https://app.test")},
		{failed, "without the grant first_party", own("--grant", "authorization_code", "--redirect-uri", "https://own.test/cb", "--hold", "cookie")},
		{failed, "exists", minji("--username", "junho")},
		{failed, "user name", minji("--username", "a b")},
		{failed, "e-mail", minji("--email", "nobody")},
		{failed, "another user has this e-mail address: junho", minji("--email", "Junho@example.com")},
		{failed, "this e-mail address is the user name of another user: sora@example.com", minji("--email", "SORA@example.com")},
		{failed, "this user name is the e-mail address of another user: junho", minji("--username", "JUNHO@example.com")},
		{failed, "no e-mail address", minji("--email-verified")},
		{failed, "a b", minji("--add-role", "a b")},
		{failed, "sub", minji("--add-claims", `{"sub": "x"}`)},
		{misuse, "not a JSON object", minji("--claims", "nonsense")},
		{misuse, "not a JSON object", minji("--add-claims", "[]")},
		// Replacing a list and changing it at once, and removing values that are
		// not in the list.
		{failed, "replaces all", app("--redirect-uri", "https://app.test/x", "--add-redirect-uri", "https://app.test/y")},
		{failed, "replaces all", api("--scope", "a.read", "--remove-scope", "a.write")},
		{failed, "replaces all", minji("--claims", "{}", "--remove-claim", "locale")},
		{failed, "replaces all", minji("--role", "x", "--add-role", "y")},
		{failed, `there is no "https://app.test/cb/"; there is: https://app.test/cb`, app("--remove-redirect-uri", "https://app.test/cb/")},
		{failed, "there is no", app("--name", "Other", "--remove-scope", "b.read")},
		{failed, "there is no", app("--remove-grant", "client_credentials")},
		{failed, "there is no", app("--remove-audience", b)},
		{failed, "there is no", app("--remove-post-logout-redirect-uri", "https://app.test/bye")},
		{failed, "there is no", own("--remove-origin", "https://app.id.test")},
		{failed, "there is no", api("--remove-scope", "b.read")},
		{failed, "there is no", minji("--remove-role", "admin")},
		{failed, "there is no", minji("--remove-claim", "name")},
		// If something prevents a deletion, the error names it.
		{failed, "still named by clients: app, own; first, for each: ingam client update ID --remove-audience " + a, []string{"api", "delete", a}},
	} {
		if e := d.bare(environ, c.args...); e.status != c.status || e.stdout != "" || !strings.Contains(e.stderr, c.says) {
			t.Errorf("ingam %q: status %d, %s%s\nwant %d, %s", c.args, e.status, e.stdout, e.stderr, c.status, c.says)
		}
	}
	if after := must("audit", "list", "--json"); after != before {
		t.Errorf("something was changed:\n%s", after)
	}
}
