package processes

import (
	"strings"
	"testing"
)

// here runs a command as command does, but in a process that is running already, because
// it takes much longer to start one.
func (d *deployment) here(stdin string, args ...string) ended {
	d.t.Helper()
	return run(d.t, d.environ("INGAM_CHANGES_STALENESS=100ms"), stdin, args...)
}

// TestErrorsSayAThingOnce: an error names the object and what is wrong with it, without
// the steps between and without repetition.
func TestErrorsSayAThingOnce(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	for _, args := range []string{
		"migrate up",
		"api create --audience https://api.test --name API --scope read",
		"api create --audience https://free.test --name Free --scope read",
		"client create --id app --name App --grant client_credentials --scope read --audience https://api.test --auth client_secret_basic",
		"client create --id spa --name SPA --grant authorization_code --redirect-uri https://spa.test/cb --scope openid --auth none",
		"user create --username minji --email minji@test.example --generate",
		"user create --username jun --email jun@test.example --generate",
	} {
		if e := d.here("", strings.Fields(args)...); e.status != done {
			t.Fatalf("ingam %s: %s", args, e.stderr)
		}
	}
	before := d.here("", "audit", "list", "--all", "--json").stdout
	for _, c := range [][2]string{
		{"api create --audience https://api.test --name Again --scope read", "API https://api.test: an API with this audience exists"},
		{"api create --audience app --name App --scope read --token-typ JWT", ""},
		{"api show https://ghost.test", "API https://ghost.test: no such API"},
		{"api update https://ghost.test --name G", "API https://ghost.test: no such API"},
		{"api delete https://ghost.test", "API https://ghost.test: no such API"},
		{"api delete https://api.test", "API https://api.test: the API is still named by clients: app; first, for each: ingam client update ID --remove-audience https://api.test, or --remove-introspects https://api.test, or both"},
		{"client create --id app --name App --grant client_credentials --auth client_secret_basic", "client app: a client with this id exists"},
		{"client create --id new --name New --grant client_credentials --scope read --audience https://ghost.test --auth client_secret_basic", ""},
		{"client show ghost", "client ghost: no such client"},
		{"client update ghost --name G", "client ghost: no such client"},
		{"client disable ghost", "client ghost: no such client"},
		{"client enable ghost", "client ghost: no such client"},
		{"client delete ghost", "client ghost: no such client"},
		{"client secret add ghost", "client ghost: no such client"},
		{"client secret remove ghost", "client ghost: no such client"},
		{"client secret remove app", "client app: this is the client's only secret; add its successor first: ingam client secret add app"},
		{"client secret remove app --secret S", "client app: the client has no such secret: S"},
		{"client secret remove spa", "client spa: the client has no such secret"},
		{"client secret add spa", "client spa: invalid client registration: a public client has no secret"},
		{"user show ghost", "user ghost: no such user"},
		{"user update ghost --email x@test.example", "user ghost: no such user"},
		{"user disable ghost", "user ghost: no such user"},
		{"user enable ghost", "user ghost: no such user"},
		{"user delete ghost", "user ghost: no such user"},
		{"user set-password ghost --generate", "user ghost: no such user"},
		{"user create --username minji --generate", "user minji: a user with this name exists"},
		{"user create --username kim --email jun@test.example --generate", "user kim: another user has this e-mail address: jun"},
		{"user update minji --username jun", "user minji: a user with this name exists: jun"},
		{"user update minji --email jun@test.example", "user minji: another user has this e-mail address: jun"},
		{"session list --user ghost", "user ghost: no such user"},
		{"session end --user ghost", "user ghost: no such user"},
		{"session end --user minji --session S", "session S: no such login session"},
		{"grant list --user ghost", "user ghost: no such user"},
		{"grant list --client ghost", "client ghost: no such client"},
		{"key withdraw K", "no such key: K (ingam key list has the keys that there are)"},
		{"revoke --grant G", "grant G: no such grant"},
		{"revoke --session S", "session S: no such login session"},
		{"revoke --user ghost", "user ghost: no such user"},
		{"revoke --client ghost", "client ghost: no such client"},
		{"revoke --client ghost --dry-run", "client ghost: no such client"},
	} {
		e := d.here("", strings.Fields(c[0])...)
		said := strings.TrimSuffix(strings.TrimPrefix(e.stderr, "ingam: "), "\n")
		if e.status != failed || e.stdout != "" || c[1] != "" && said != c[1] {
			t.Errorf("ingam %s: status %d\n%q, not\n%q", c[0], e.status, said, c[1])
		}
		seen := map[string]bool{}
		for part := range strings.SplitSeq(said, ": ") {
			if seen[part] {
				t.Errorf("ingam %s says twice: %s", c[0], part)
			}
			seen[part] = true
		}
	}
	if after := d.here("", "audit", "list", "--all", "--json").stdout; after != before {
		t.Errorf("what was refused is in the audit:\n%s", after)
	}
}
