package main

import (
	"fmt"
	"net/http"
	"net/url"
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
		resource := d.client("resource") // the API itself, as introspection knows it
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

		// A person by another name is the same one, where they are signed in as well.
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

		// A scope that the client, and one that an API, has no longer: gone from what
		// is refreshed and from what is introspected, on each server.
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
		// An API that the client has no longer is not told of its tokens.
		d.must("client", "update", "web", "--remove-audience", "https://api.test", "--remove-scope", "write")
		for _, s := range both {
			if is := introspected(s, "resource", resource, whole.Access); is["active"] != false {
				t.Errorf("a token for an API that was taken away: %v", is)
			}
			if aud := introspected(s, "web", web.secret, whole.Access)["aud"]; strings.Contains(strings.Join(texts(aud), " "), "https://api.test") {
				t.Errorf("its audience is %v", aud)
			}
		}
		// Nothing left is an end, but not of the grant.
		d.must("client", "update", "web", "--scope", "show")
		for _, s := range both {
			if a := web.refresh(s, set.Refresh); a.status != http.StatusBadRequest || a.json(t)["error"] != "invalid_grant" {
				t.Errorf("nothing is left: %d %s", a.status, a.body)
			}
			if is := introspected(s, "web", web.secret, whole.Access); is["active"] != false {
				t.Errorf("a token of which nothing is left: %v", is)
			}
		}
		// What comes back is back, in the grant and in the token from before.
		d.must("api", "update", "https://other.test", "--add-scope", "list")
		d.must("client", "update", "web", "--audience", "https://api.test", "--audience", "https://other.test", "--scope", "openid offline_access write read list")
		for _, s := range both {
			wantScope("what is back", refresh(s).Scope, "openid read write list offline_access")
			wantScope("introspection of what is back", introspected(s, "resource", resource, whole.Access)["scope"].(string), "openid read write list offline_access")
		}

		// What another API comes to offer does not count there.
		d.must("api", "update", "https://other.test", "--add-scope", "read")
		for _, s := range both {
			wantScope("what came later", introspected(s, "web", web.secret, whole.Access)["scope"].(string), "openid write list offline_access")
		}

		// An address is taken by each server as soon as the command has returned, and
		// so is its loss.
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
		// Of several operators at once nobody undoes what another did.
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
		// A grant type that is taken away is of no use at once, and the grant lives.
		d.must("client", "update", "web", "--remove-grant", "refresh_token")
		for _, s := range both {
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

// bearer is a request to userinfo.
func bearer(t *testing.T, s *server, token string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+"/userinfo", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

// texts is what is one text or a list of them.
func texts(v any) []string {
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
