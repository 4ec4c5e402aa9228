package processes

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// login runs `ingam login`, lets a person sign in and allow it, and returns the environment
// of an administrator's machine, which has nothing of the server.
func login(t *testing.T, d *deployment, s *server, user string) (environ []string) {
	t.Helper()
	return loginBy(t, d, s, user, goodPassword)
}

// loginBy is login with another password.
func loginBy(t *testing.T, d *deployment, s *server, user, password string) (environ []string) {
	t.Helper()
	home := t.TempDir()
	environ = []string{"HOME=" + home, "XDG_CONFIG_HOME=" + home, "GORACE=" + os.Getenv("GORACE")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, plainBinary(), "login", "--server", d.issuer, "--browser=false")
	cmd.Env, cmd.Dir = environ, home
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	lines.ReadString('\n')
	address, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	p := s.person()
	sc := p.get(strings.TrimSpace(address))
	if strings.Contains(sc.body, `name="password"`) {
		sc = sc.submit("username", user, "password", password).follow()
	}
	if !strings.Contains(sc.body, `name="decision"`) {
		t.Fatalf("they are not asked: %d %s", sc.status, sc.body)
	}
	if done := p.get(sc.submit("decision", "allow").to); done.status != 200 || !strings.Contains(done.body, "close this window") {
		t.Fatalf("%d %s", done.status, done.body)
	}
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, rest)
	}
	return environ
}

// TestAnAdministratorWorksFromElsewhere: `ingam login` and commands with --server do what
// the same commands do on the server's machine, until the role is gone or they sign out.
func TestAnAdministratorWorksFromElsewhere(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	if e := d.command(goodPassword+"\n", nil, "admin", "bootstrap", "--username", "minji", "--password-stdin"); e.status != 0 {
		t.Fatal(e.stderr)
	}
	s := d.start()
	environ := login(t, d, s, "minji")
	kept := filepath.Join(strings.TrimPrefix(environ[0], "HOME="), "ingam", "login.json")
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the tokens are kept with %v, %v", info.Mode(), err)
	}
	elsewhere := func(args ...string) ended {
		t.Helper()
		return program(t, plainBinary(), filepath.Dir(kept), environ, "", append(args, "--server", d.issuer)...)
	}
	for _, command := range []string{
		"api create --audience https://api.test --name API --scope read",
		"client create --id job --name Job --grant client_credentials --auth client_secret_basic --scope read --audience https://api.test",
		"client update job --name Work",
	} {
		if e := elsewhere(strings.Fields(command)...); e.status != 0 {
			t.Fatalf("%s: %s", command, e.stderr)
		}
	}
	for _, command := range []string{"client list --json", "client show job", "api list", "user list --json", "key list", "export"} {
		args := strings.Fields(command)
		if here, there := d.command("", nil, args...), elsewhere(args...); there != here {
			t.Errorf("%s: %+v instead of %+v", command, there, here)
		}
	}
	if e := elsewhere("client", "show", "nobody"); e.status != 1 || e.stderr != d.command("", nil, "client", "show", "nobody").stderr {
		t.Errorf("%+v", e)
	}

	file := filepath.Join(filepath.Dir(kept), "one.yaml")
	if err := os.WriteFile(file, []byte(filed), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"--plan"}, 3, "~ client job"}, {nil, 0, "applied"}, {nil, 0, "nothing to change"},
	} {
		if e := elsewhere(append([]string{"apply", "-f", file}, c.args...)...); e.status != c.status || !strings.Contains(e.stdout, c.says) {
			t.Errorf("apply %q: %+v", c.args, e)
		}
	}

	// A whole installation is longer than what strangers may send.
	var many strings.Builder
	many.WriteString("clients:\n")
	for i := range 400 {
		fmt.Fprintf(&many, "  - client_id: c%d\n    name: %s\n    token_endpoint_auth_method: none\n", i, strings.Repeat("n", 200))
	}
	if err := os.WriteFile(file, []byte(many.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if e := elsewhere("apply", "-f", file, "--plan"); e.status != 3 || strings.Count(e.stdout, "+ client c") != 400 {
		t.Errorf("%d %s", e.status, e.stderr)
	}

	// What the access token's key has signed is gone, but not the sign-in; a cut ends that.
	var keys []struct{ Kid, Ring, State string }
	if err := json.Unmarshal([]byte(d.command("", nil, "key", "list", "--json").stdout), &keys); err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		if k.Ring == "tokens" && k.State == "active" {
			d.must("key", "withdraw", k.Kid, "--force")
		}
	}
	if e := elsewhere("client", "list"); e.status != 0 {
		t.Error(e.stderr)
	}
	d.must("revoke", "--client", "ingam-cli")
	for _, says := range []string{"you are signed out: ", "you are not signed in: "} { // a bad token is not sent again and again
		if e := elsewhere("client", "list"); e.status != 1 || !strings.Contains(e.stderr, says+"ingam login --server "+d.issuer) {
			t.Errorf("%+v", e)
		}
	}
	environ = login(t, d, s, "minji")
	kept = filepath.Join(strings.TrimPrefix(environ[0], "HOME="), "ingam", "login.json")

	// The role is asked for at each call.
	d.must("user", "update", "minji", "--role", "ingam:clients:read")
	if e := elsewhere("client", "list"); e.status != 0 {
		t.Error(e.stderr)
	}
	if e := elsewhere("client", "disable", "job"); e.status != 1 || !strings.Contains(e.stderr, "ingam:clients:write") {
		t.Errorf("%+v", e)
	}
	if e := elsewhere("logout"); e.status != 0 {
		t.Error(e.stderr)
	}
	if e := elsewhere("client", "list"); e.status != 1 || !strings.Contains(e.stderr, "ingam login --server "+d.issuer) {
		t.Errorf("%+v", e)
	}
	if log := s.log.String(); strings.Contains(log, "Bearer") || strings.Contains(log, goodPassword) {
		t.Error("a token or the password is in the log")
	}
}

// filed is a file that changes the name of a client.
const filed = `clients:
  - client_id: job
    name: From a file
    token_endpoint_auth_method: client_secret_basic
    grant_types: [client_credentials]
    scopes: [read]
    audiences: [https://api.test]
`
