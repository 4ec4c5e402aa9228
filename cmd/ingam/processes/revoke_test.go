package processes

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestATokenIsRevokedByWhatAnAPILogs checks that a client's own token can be revoked by
// its jti and status, and a user's token by its gid. Values that do not belong together
// are refused, and no other token is revoked.
func TestATokenIsRevokedByWhatAnAPILogs(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		s := d.start()
		secret, web := d.client("app"), d.webClient("web")
		d.user("minji")
		token, neighbour := s.token("app", secret), s.token("app", secret)
		theirs := web.tokens(s, s.person(), "minji", "scope", "openid read").Access
		logged := func(token string) (jti, list, index, exp string) {
			claims := part(t, token, 1)
			at := claims["status"].(map[string]any)["status_list"].(map[string]any)
			return claims["jti"].(string), at["uri"].(string), fmt.Sprintf("%.0f", at["idx"]), fmt.Sprintf("%.0f", claims["exp"])
		}
		revoked := func(token string) bool {
			return strings.Contains(d.here(token, "token", "verify").stderr, "was revoked")
		}
		jti, list, index, exp := logged(token)
		theirJTI, theirList, theirIndex, theirExp := logged(theirs)

		before := d.must("audit", "list", "--all", "--json")
		for _, c := range []struct {
			status int
			says   string
			args   []string
		}{
			{misuse, "go together", []string{"--jti", jti, "--status-list", list}},
			{misuse, "go with --jti", []string{"--client", "app", "--status-list", list, "--status-index", index}},
			{misuse, "one of", []string{"--client", "app", "--jti", jti}},
			{misuse, "is the jti of a token", []string{"--jti", token, "--status-list", list, "--status-index", index}},
			{misuse, "number of seconds", []string{"--jti", jti, "--expires", "tomorrow"}},
			{failed, "expired at", []string{"--jti", jti, "--expires", "2020-01-01T00:00:00Z"}},
			{failed, "no token lives until", []string{"--jti", jti, "--expires", "2100-01-01T00:00:00Z"}},
			{failed, "is no status list of", []string{"--jti", jti, "--status-list", "https://other.test/oauth2/status/1", "--status-index", index}},
			{failed, "no token refers to", []string{"--jti", jti, "--status-list", "99999", "--status-index", index}},
			{failed, "no token refers to", []string{"--jti", jti, "--status-list", list, "--status-index", "900000"}},
			{failed, "ingam revoke --grant " + part(t, theirs, 1)["gid"].(string), []string{"--jti", theirJTI, "--status-list", theirList, "--status-index", theirIndex, "--expires", theirExp}},
			{done, "", []string{"--jti", jti, "--dry-run"}},
		} {
			e := d.here("", append([]string{"revoke"}, c.args...)...)
			if e.status != c.status || !strings.Contains(e.stderr, c.says) || strings.Contains(e.stderr, token) {
				t.Errorf("%s: %+v", c.args, e)
			}
		}
		if after := d.must("audit", "list", "--all", "--json"); after != before {
			t.Errorf("what was refused is in the audit: %s", after)
		}

		e := d.here("", "revoke", "--jti", jti, "--status-list", list, "--status-index", index, "--expires", exp, "--reason", "in a log")
		if e.status != done || e.stdout != "revoked token "+jti+" of client app\n" || e.stderr != "" {
			t.Fatalf("%+v", e)
		}
		if s.active("app", secret, token) || !s.active("app", secret, neighbour) {
			t.Error("introspection does not agree")
		}
		eventually(t, "the status list has the cut", time.Minute, func() bool { return revoked(token) })
		if revoked(neighbour) || revoked(theirs) {
			t.Error("another token was revoked with it")
		}
		if cuts := d.events(t, "cut.token"); len(cuts) != 1 || cuts[0].Subject != jti || cuts[0].Details["client_id"] != "app" || cuts[0].Reason != "in a log" {
			t.Errorf("%+v", cuts)
		}

		// If only the jti of a token is known, only introspection refuses the
		// token.
		other, _, _, _ := logged(neighbour)
		wantSaid(t, d.here("", "revoke", "--jti", other).stderr, "will not refuse this token")
		if s.active("app", secret, neighbour) {
			t.Error("the token is active")
		}
		// A user's token is revoked by its grant.
		if e := d.here("", "revoke", "--grant", part(t, theirs, 1)["gid"].(string)); e.status != done {
			t.Errorf("%+v", e)
		}
		eventually(t, "the status list has the grant", time.Minute, func() bool { return revoked(theirs) })
	})
}
