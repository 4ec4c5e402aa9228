package processes

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestIntrospectionTellsWhatTheTokenSays(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		d.must("api", "create", "--audience", "https://roles.test", "--name", "R", "--scope", "check", "--roles")
		web := d.webClient("web", "--auth", "client_secret_basic", "--audience", "https://roles.test", "--scope", "openid profile read check")
		api := d.client("api", "--audience", "https://roles.test", "--introspects", "https://roles.test")
		user := d.user("minji", "--role", "admin", "--role", "ops")
		ask := func(id, secret, token string) map[string]any {
			t.Helper()
			got := s.post("/oauth2/introspect", id, secret, url.Values{"token": {token}})
			if got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
			return got.json(t)
		}
		for what, token := range map[string]string{
			"a user's":              web.tokens(s, s.person(), "minji", "scope", "openid read").Access,
			"a user's, with roles":  web.tokens(s, s.person(), "minji", "scope", "openid check").Access,
			"a user's, for two":     web.tokens(s, s.person(), "minji", "scope", "openid check read").Access,
			"a user's, without one": web.tokens(s, s.person(), "minji", "scope", "read").Access,
			"a client's own":        s.token("api", api),
		} {
			want := part(t, token, 1)
			delete(want, "epoch")
			delete(want, "status")
			want["active"], want["token_type"], want["nbf"] = true, "Bearer", want["iat"]
			if want["gid"] != nil {
				want["username"] = "minji"
				for _, name := range []string{"auth_time", "acr", "amr"} {
					if want[name] == nil {
						t.Errorf("%s: the token has no %s", what, name)
					}
				}
			}
			if aud, one := want["aud"].(string); one {
				want["aud"] = []any{aud}
			}
			if diff := cmp.Diff(want, ask("api", api, token)); diff != "" {
				t.Errorf("%s: -token +answer:\n%s", what, diff)
			}
		}

		// Introspection shows a refresh token only to its own client, and without
		// the fields for APIs, such as the scope.
		first := web.tokens(s, s.person(), "minji", "scope", "openid read").Refresh
		claims := part(t, first, 1)
		want := map[string]any{
			"active": true, "client_id": "web", "sub": user.ID, "iss": d.issuer, "exp": claims["exp"], "iat": claims["iat"], "nbf": claims["iat"], "gid": claims["gid"], "acr": "1", "amr": []any{"pwd"},
		}
		got := ask("web", web.secret, first)
		want["auth_time"] = got["auth_time"]
		if diff := cmp.Diff(want, got); diff != "" || want["auth_time"] == nil {
			t.Errorf("a refresh token: %s", diff)
		}
		inactive := map[string]any{"active": false}
		live := func(token string) bool {
			t.Helper()
			got := ask("web", web.secret, token)
			if got["active"] == false && len(got) != 1 {
				t.Errorf("%v", got)
			}
			return got["active"].(bool)
		}
		if diff := cmp.Diff(inactive, ask("api", api, first)); diff != "" {
			t.Errorf("a refresh token of another client: %s", diff)
		}
		second := web.refresh(s, first).tokens(t).Refresh
		third := web.refresh(s, second).tokens(t).Refresh
		// The refresh token before the newest is active too, because a retry with
		// it would succeed. Introspection changes nothing.
		if alive := []bool{live(first), live(second), live(third), live(respell(third)), live(third[:len(third)-1])}; !slices.Equal(alive, []bool{false, true, true, false, false}) {
			t.Errorf("alive: %v", alive)
		}
		if g := d.newest(t, "web"); g.Revoked || g.Generation != 3 {
			t.Errorf("%+v", g)
		}
		d.must("client", "update", "web", "--scope", "profile")
		eventually(t, "nothing is left of the grant", time.Minute, func() bool { return !live(third) })
		d.must("client", "update", "web", "--scope", "openid read")
		eventually(t, "it is back", time.Minute, func() bool { return live(third) })
		d.must("revoke", "--grant", d.newest(t, "web").ID)
		if live(third) {
			t.Error("of a revoked grant")
		}
		another := web.tokens(s, s.person(), "minji", "scope", "openid read").Refresh
		d.must("user", "disable", "minji")
		if live(another) {
			t.Error("of a disabled user")
		}
	})
}
