package processes

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhoHasAccessToWhat(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	web, other := d.webClient("web"), d.webClient("other")
	d.client("job")
	minji, jun := d.user("minji"), d.user("jun")
	web.tokens(s, s.person(), "minji", "scope", "openid read")
	other.tokens(s, s.person(), "minji", "scope", "openid")
	web.tokens(s, s.person(), "jun", "scope", "openid write")
	s.stop()

	asked := func(args ...string) (list []accessJSON) {
		t.Helper()
		e := d.here("", append([]string{"access", "--json"}, args...)...)
		if e.status != done {
			t.Fatalf("access %s: %s", args, e.stderr)
		}
		mustUnmarshal(t, e.stdout, &list)
		for _, a := range list {
			if a.Since == nil || a.LastUsed == nil || *a.LastUsed < *a.Since {
				t.Errorf("%s of %s: since %v, used %v", a.ClientID, a.Username, a.Since, a.LastUsed)
			}
		}
		return list
	}
	told := func(list []accessJSON) string {
		var lines []string
		for _, a := range list {
			lines = append(lines, fmt.Sprintf("%s %s %v", a.Username, a.ClientID, a.Permissions))
		}
		return strings.Join(lines, "\n")
	}
	const api = "https://api.test"
	ofWeb := fmt.Sprint([]permissionJSON{{Scope: "openid"}, {api, "read"}})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"--user", "minji"}, "minji other " + fmt.Sprint([]permissionJSON{{Scope: "openid"}}) + "\nminji web " + ofWeb},
		{[]string{"--user", minji.ID, "--client", "web"}, "minji web " + ofWeb},
		{[]string{"--client", "web"}, "jun web " + fmt.Sprint([]permissionJSON{{Scope: "openid"}, {api, "write"}}) + "\nminji web " + ofWeb},
		{[]string{"--client", "web", "--limit", "1"}, "jun web " + fmt.Sprint([]permissionJSON{{Scope: "openid"}, {api, "write"}})},
		{[]string{"--client", "job"}, ""},
		{[]string{"--user", "jun", "--client", "other"}, ""},
	} {
		if got := told(asked(c.args...)); got != c.want {
			t.Errorf("%s: %s", c.args, got)
		}
	}
	e := d.here("", "access", "--client", "web", "--limit", "1")
	wantSaid(t, e.stderr, "there are more")
	wantSaid(t, e.stdout, "jun ", jun.ID, "openid, write at https://api.test")
	wantSaid(t, d.here("", "access", "--client", "job").stderr, "client credentials tokens, for: read write")

	// Revoked grants and removed scopes are no longer listed. A disabled user is marked
	// as such.
	d.must("revoke", "--user", "jun")
	d.must("client", "update", "web", "--remove-scope", "read")
	d.must("user", "disable", "minji")
	if got, want := told(asked("--user", "minji", "--client", "web")), "minji web "+fmt.Sprint([]permissionJSON{{Scope: "openid"}}); got != want {
		t.Errorf("%s, not %s", got, want)
	}
	wantSaid(t, d.here("", "access", "--user", "minji").stdout, "user disabled")
	for args, status := range map[string]int{"": misuse, "--user ghost": failed, "--client ghost": failed, "--user minji --limit 0": misuse} {
		if e := d.here("", append([]string{"access"}, strings.Fields(args)...)...); e.status != status || e.stdout != "" {
			t.Errorf("access %s: %+v", args, e)
		}
	}
}
