package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ingam/ingam/keys"
)

// TestScripts runs the commands as an operator does: each script in a folder of
// its own, with settings for a database and a master key that are not there yet.
// Beside the usual commands of testscript there are
//
//	status N COMMAND…   the exit status is N
//	json PATH WANT…     the last standard output is JSON that has WANT at PATH
//	save PATH NAME      what it has there becomes a variable
//	event N ACTION SUBJECT REASON
//	                    the audit has N rows, and the last one says this, with the
//	                    operator as its actor
//	mode MODE FILE      the file has that mode
//
// where a path is as a.0.b: a number indexes a list, and len is its length.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("INGAM_ISSUER", "https://id.test")
			e.Setenv("INGAM_DATABASE", "sqlite:"+e.WorkDir+"/ingam.db")
			e.Setenv("INGAM_MASTER_KEY_FILE", e.WorkDir+"/master.key")
			e.Setenv("INGAM_CHANGES_STALENESS", "100ms") // commands wait for it
			e.Setenv("GORACE", os.Getenv("GORACE"))
			if other := os.Getenv("INGAM_TEST_COMMAND"); other != "" {
				e.Setenv("PATH", filepath.Dir(other)+string(os.PathListSeparator)+e.Getenv("PATH"))
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				if got := exitStatus(err); got != args[0] {
					ts.Fatalf("exit status %s, want %s", got, args[0])
				}
			},
			"json": func(ts *testscript.TestScript, neg bool, args []string) {
				if got := field(printed(ts), args[0]); (got == strings.Join(args[1:], " ")) == neg {
					ts.Fatalf("%s is %s", args[0], got)
				}
			},
			"save": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Setenv(args[1], field(printed(ts), args[0]))
			},
			"event": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(ts.Exec("ingam", "audit", "list", "--json"))
				events := printed(ts).([]any)
				if fmt.Sprint(len(events)) != args[0] {
					ts.Fatalf("the audit has %d rows, want %s", len(events), args[0])
				}
				last := events[len(events)-1].(map[string]any)
				for i, name := range []string{"action", "subject", "reason"} {
					if got, _ := last[name].(string); got != args[i+1] {
						ts.Fatalf("its %s is %q, want %q", name, got, args[i+1])
					}
				}
				if last["actor"] != string(operator()) || last["at"] == nil {
					ts.Fatalf("it does not say who and when: %v", last)
				}
			},
			"mode": func(ts *testscript.TestScript, _ bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[1]))
				ts.Check(err)
				if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
					ts.Fatalf("%s has the mode %s", args[1], got)
				}
			},
		},
	})
}

// printed reads what the last command printed as JSON, and holds its names to
// one style.
func printed(ts *testscript.TestScript) any {
	out := ts.ReadFile("stdout")
	var v any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		ts.Fatalf("standard output is not JSON: %v", err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ *"([^"]*)": `).FindAllStringSubmatch(out, -1) {
		if !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(m[1]) {
			ts.Fatalf("the name %s is not in snake_case", m[1])
		}
	}
	return v
}

func exitStatus(err error) string {
	if err == nil {
		return "0"
	}
	return strings.TrimPrefix(err.Error(), "exit status ")
}

// field finds a value in JSON by a path such as a.0.b; len is a list's length.
func field(v any, path string) string {
	for name := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[name]
		case []any:
			if name == "len" {
				v = len(in)
				continue
			}
			var i int
			if _, err := fmt.Sscan(name, &i); err != nil || i >= len(in) {
				return "no such place: " + path
			}
			v = in[i]
		}
	}
	b, _ := json.Marshal(v)
	return strings.Trim(string(b), `"`)
}

func TestTokensAreVerifiedFromTheCommandLineAsAResourceServerDoes(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := d.start()
	secret := d.client("app")
	ring := d.ring()
	sign := func(typ string, changed map[string]any) string {
		t.Helper()
		token, err := ring.Sign(keys.Tokens, typ, d.claims(changed))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	good := s.token("app", secret)
	whole := s.post("/oauth2/token", "app", secret, url.Values{"grant_type": {"client_credentials"}}).body
	before := d.state()
	verify := func(stdin string, args ...string) ended {
		t.Helper()
		// A resource server has neither the database nor the master key.
		return d.command(stdin, []string{"INGAM_DATABASE=", "INGAM_MASTER_KEY_FILE="}, append([]string{"token", "verify"}, args...)...)
	}
	for what, stdin := range map[string]string{"a token": good, "a token in a line": good + "\n", "the whole answer": whole} {
		e := verify(stdin, "--audience", "https://api.test")
		var claims map[string]any
		if err := json.Unmarshal([]byte(e.stdout), &claims); err != nil || e.status != done || claims["sub"] != "app" || claims["iss"] != d.issuer {
			t.Errorf("%s: status %d, %v, %v", what, e.status, err, claims)
		}
		wantSaid(t, e.stderr, "signature is good", d.issuer, kidOf(t, good), "It was not revoked")
	}
	for what, c := range map[string]struct{ stdin, says string }{
		"another audience":      {sign("at+jwt", map[string]any{"aud": "https://other.test"}), "https://other.test"},
		"another issuer":        {sign("at+jwt", map[string]any{"iss": "https://other.test"}), ""},
		"an expired token":      {sign("at+jwt", map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), "expired"},
		"another kind of token": {sign("JWT", nil), ""},
		"a changed token":       {tamper(good), ""},
		"no token":              {"", "no token"},
		"no token, but JSON":    {"{", "neither"},
		"a refusal":             {`{"error":"invalid_client","error_description":"no"}`, "invalid_client"},
	} {
		e := verify(c.stdin, "--audience", "https://api.test")
		if e.status != failed || e.stdout != "" {
			t.Errorf("%s: status %d\n%s", what, e.status, e.stdout)
		}
		wantSaid(t, e.stderr, c.says)
		if c.stdin != "" && strings.Contains(e.stderr, c.stdin) {
			t.Errorf("%s is repeated in the error", what)
		}
	}
	if e := verify(good, "extra"); e.status != misuse {
		t.Errorf("an argument: %+v", e)
	}
	if after := d.state(); after != before {
		t.Errorf("verifying changed something:\n%s\n%s", before, after)
	}

	if e := verify(good, "--no-status"); e.status != done || !strings.HasPrefix(e.stderr, "The signature is good") || !strings.Contains(e.stderr, "not checked.\n") {
		t.Errorf("without the status list: %+v", e)
	}

	// The one cut that a script cannot make, for want of a token.
	e := d.command(good, nil, "revoke", "--token-stdin", "--reason", "posted")
	if e.status != done || strings.Contains(e.stdout+e.stderr, good) {
		t.Errorf("%+v", e)
	}
	cuts := d.events(t, "cut.token")
	if len(cuts) != 1 || cuts[0].Subject != part(t, good, 1)["jti"] || cuts[0].Reason != "posted" || cuts[0].Actor != string(operator()) {
		t.Errorf("%+v", cuts)
	}
	eventually(t, "the status list says so to the command as to a resource server", time.Minute, func() bool {
		e := verify(good, "--audience", "https://api.test")
		return e.status == failed && e.stdout == "" && strings.Contains(e.stderr, "the token was revoked, by its status list")
	})
	if e := verify(good, "--no-status"); e.status != done {
		t.Errorf("without the status list: %+v", e)
	}
	s.stop()
	if e := verify(good); e.status != failed || e.stdout != "" {
		t.Errorf("with nobody to ask: %+v", e)
	}
}
