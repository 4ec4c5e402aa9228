package processes

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage/storagetest"
)

// verifiedJSON is what ingam audit verify says.
type verifiedJSON struct {
	Checked int
	Flaws   []map[string]any
	Head    *struct {
		Number int
		Digest string
	}
	Unchained int
}

// chained waits until the whole audit log is chained, and returns what is verified then.
func (d *deployment) chained() (v verifiedJSON) {
	d.t.Helper()
	eventually(d.t, "the audit log is chained", time.Minute, func() bool {
		e := d.command("", nil, "audit", "verify", "--json")
		v = verifiedJSON{}
		if err := json.Unmarshal([]byte(e.stdout), &v); err != nil {
			d.t.Fatalf("%v: %s%s", err, e.stdout, e.stderr)
		}
		if (len(v.Flaws) > 0) != (e.status != done) {
			d.t.Fatalf("the exit status is %d with %v", e.status, v.Flaws)
		}
		return v.Unchained == 0
	})
	return v
}

// TestWhoeverChainsCanDieAtAnyStep kills a server at each step of chaining. Another one goes
// on, and there is neither a gap nor a number twice.
func TestWhoeverChainsCanDieAtAnyStep(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.must("migrate", "up")
		for i, step := range []struct {
			before string
			// inside says that the step is of the transaction that chains, and after that
			// the statement has run.
			inside, after bool
		}{
			{before: "UPDATE leases", after: true},
			{before: "UPDATE leases", inside: true, after: true},
			{before: "UPDATE audit_events SET number", inside: true, after: true},
			{before: "INSERT INTO audit_heads", inside: true, after: true},
			{before: "COMMIT", inside: true},
			{before: "", inside: true}, // whatever comes after the COMMIT
		} {
			storagetest.Exec(t, d.database, "UPDATE leases SET until_ms = 0") // that of the one before
			d.client(fmt.Sprint("app", i))
			r := &storagetest.Recorder{}
			var s *server
			var mu sync.Mutex
			inside, committed, launched := false, false, make(chan struct{})
			die := func(after bool) func(string) error {
				return func(statement string) error {
					<-launched
					mu.Lock()
					defer mu.Unlock()
					statement = strings.Join(strings.Fields(strings.NewReplacer("`", "", `"`, "").Replace(statement)), " ")
					if !after && strings.HasPrefix(statement, "UPDATE leases SET fence = fence + 1") {
						inside = true
					}
					if after == step.after && inside == step.inside && (step.before != "" || committed) && strings.HasPrefix(strings.ToUpper(statement), strings.ToUpper(step.before)) {
						s.cmd.Process.Kill()
						return errors.New("dead")
					}
					committed = committed || inside && statement == "COMMIT"
					return nil
				}
			}
			r.FailWith(die(false))
			r.FailAfter(die(true))
			s = d.launch(freeAddress(t), "INGAM_TEST_ASKS="+storagetest.Answer(t, r, time.Now))
			close(launched)
			select {
			case <-s.waited:
			case <-time.After(time.Minute):
				t.Fatalf("the server does not come to step %d", i)
			}
		}
		storagetest.Exec(t, d.database, "UPDATE leases SET until_ms = 0")
		first, second := d.startAt(freeAddress(t)), d.startAt(freeAddress(t))
		v := d.chained()
		if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM audit_events"); len(v.Flaws) > 0 || v.Checked != n || v.Head.Number != n {
			t.Errorf("of %d events: %+v", n, v)
		}
		// Who ends as they should has chained what there is, and leaves the lease.
		first.stop()
		d.client("last")
		second.stop()
		if v := d.chained(); len(v.Flaws) > 0 {
			t.Errorf("%+v", v)
		}
	})
}

// TestTheAuditLogIsVerifiedByAStranger does what docs/audit.md says.
func TestTheAuditLogIsVerifiedByAStranger(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.must("migrate", "up")
	s := d.start()
	d.client("app")
	v := d.chained()
	head := strings.TrimSpace(d.must("audit", "head"))
	if want := fmt.Sprintf("%d:%s", v.Head.Number, v.Head.Digest); head != want {
		t.Fatalf("%s, want %s", head, want)
	}
	d.must("audit", "verify", "--head", head)
	said, err := verifiedByPython(t, d.must("audit", "export"), head)
	if err != nil || said != head {
		t.Errorf("%s, %v", said, err)
	}
	s.stop()
	storagetest.Exec(t, d.database, "UPDATE audit_events SET reason = 'another' WHERE number = 2")
	e := d.command("", nil, "audit", "verify", "--head", head)
	if e.status == done || !strings.HasPrefix(e.stdout, "event 2 (id ") {
		t.Errorf("%d: %s%s", e.status, e.stdout, e.stderr)
	}
	storagetest.Exec(t, d.database, "DELETE FROM audit_events WHERE number > 1")
	storagetest.Exec(t, d.database, "DELETE FROM audit_heads WHERE number > 1")
	if e := d.command("", nil, "audit", "verify", "--head", head); e.status == done || !strings.Contains(e.stdout, "cut_off") {
		t.Errorf("%d: %s%s", e.status, e.stdout, e.stderr)
	}
}

// verifiedByPython runs the script of docs/audit.md on an export, and returns what it says.
func verifiedByPython(t *testing.T, export string, kept ...string) (said string, err error) {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../../../docs/audit.md"))
	if err != nil {
		t.Fatal(err)
	}
	script := regexp.MustCompile("(?s)<!-- audit: verify.py -->\n```python\n(.*?)```").FindSubmatch(text)
	if script == nil {
		t.Fatal("the document has no script")
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"verify.py": script[1], "audit.ndjson": []byte(export)} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("python3", append([]string{"verify.py", "audit.ndjson"}, kept...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// TestAStrangerFindsWhatIsWrongWithAnExport: the stranger is the script of docs/audit.md.
func TestAStrangerFindsWhatIsWrongWithAnExport(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	d.must("migrate", "up")
	store := storagetest.Open(t, d.database)
	master, err := masterkey.Open(d.masterKey)
	if err != nil {
		t.Fatal(err)
	}
	c := chain.New(store, keys.New(store, master, keys.Policy{RotateEvery: 24 * time.Hour, Bits: 2048}, time.Now), time.Now)
	storagetest.Exec(t, d.database, "UPDATE leases SET until_ms = 0")
	began := time.Now().Add(time.Hour) // after all that is there
	log := func(first, n int) {
		t.Helper()
		events := make([]audit.Event, n)
		for i := range events {
			events[i] = audit.Event{
				At: began.Add(time.Duration(first+i) * time.Second), Actor: "cli:a", Action: audit.TokenCut, Subject: fmt.Sprint("token ", first+i),
				Reason: "because, it's \"so\"\n<&>", Details: map[string]string{"é": "🔑 김민지", "z": "", "\uffff": "1", "😀": "2"},
			}
		}
		if err := errors.Join(store.Record(t.Context(), events), c.Run(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		log(10*i, 10)
	}
	whole := d.must("audit", "export")
	head := strings.TrimSpace(d.must("audit", "head"))
	if said, err := verifiedByPython(t, whole); err != nil || said != head {
		t.Fatalf("%s, %v", said, err)
	}
	lines := slices.Collect(strings.Lines(whole))
	of := func(text string) int {
		t.Helper()
		i := slices.IndexFunc(lines, func(l string) bool { return strings.Contains(l, text) })
		if i < 0 {
			t.Fatalf("nothing has %s", text)
		}
		return i
	}
	event, first := of(`"token 5"`), of(`{"head":`)
	for name, c := range map[string]struct {
		change func(l []string) []string
		says   string
	}{
		"edited":         {func(l []string) []string { l[event] = strings.Replace(l[event], "cli:a", "cli:b", 1); return l }, "missing, or is not"},
		"removed":        {func(l []string) []string { return slices.Delete(l, event, event+1) }, "missing, or is not"},
		"moved":          {func(l []string) []string { l[event], l[event+1] = l[event+1], l[event]; return l }, "missing, or is not"},
		"without a head": {func(l []string) []string { return l[:len(l)-1] }, "are not signed"},
		"cut off":        {func(l []string) []string { return l[:first+1] }, "were cut off"},
		"another head": {func(l []string) []string {
			l[len(l)-1] = strings.Replace(l[len(l)-1], `"signed":"`, `"signed":"e30`, 1)
			return l
		}, ""},
		"another signature": {func(l []string) []string {
			at := len(l) - 1
			end := strings.LastIndex(l[at], `"}`)
			l[at] = l[at][:end-86] + strings.Repeat("A", 86) + l[at][end:]
			return l
		}, "not signed by the key"},
	} {
		if said, err := verifiedByPython(t, strings.Join(c.change(slices.Clone(lines)), ""), head); err == nil || !strings.Contains(said, c.says) {
			t.Errorf("%s: %s", name, said)
		}
	}
	if said, err := verifiedByPython(t, strings.Join(lines[:first+1], "")); err != nil {
		t.Errorf("a log that ends there is good if nobody has kept a later head: %s", said)
	}
	if said, err := verifiedByPython(t, whole, "20:"+strings.Repeat("0", 64)); err == nil || !strings.Contains(said, "was kept") {
		t.Errorf("another history: %s", said)
	}
	// It begins at an anchor, if there is one.
	if n, err := c.Purge(t.Context(), began.Add(10*time.Second), 100); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	purged := d.must("audit", "export")
	if said, err := verifiedByPython(t, purged, head); err != nil || said != head || strings.Contains(purged, `"token 5"`) {
		t.Errorf("%s, %v", said, err)
	}
	if said, err := verifiedByPython(t, strings.Replace(purged, `{"head":`, `{"key":{"kid":"x"},"head":`, 1)); err == nil || !strings.Contains(said, "missing, or is not") {
		t.Errorf("without the anchor: %s", said)
	}
}

// TestNoSecretIsInTheAuditLog does all that has a secret, a token, a code or a password in it,
// and looks for each one in the audit log, and in its export.
func TestNoSecretIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	used := map[string]string{}
	keep := func(what, secret string) string {
		if len(secret) < 8 {
			t.Fatalf("%s is %q", what, secret)
		}
		used[what] = secret
		return secret
	}
	type members map[string]string
	if e := d.command(keep("a password", goodPassword)+"\n", nil, "admin", "bootstrap", "--username", "root", "--password-stdin"); e.status != 0 {
		t.Fatal(e.stderr)
	}
	d.user("minji")
	s := d.start()
	machine := keep("a client secret", d.client("machine"))
	a := d.webClient("web", "--auth", "client_secret_basic")
	keep("the secret of an app", a.secret)
	keep("a verifier", a.verifier)
	d.signInApp("mobile")

	p := s.person()
	request := a.request("scope", "openid offline_access read")
	code := keep("a code", p.signIn("minji", request).Get("code"))
	set := a.redeem(s, code).tokens(t)
	at, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.client.Jar.Cookies(at) {
		keep("the cookie "+c.Name, c.Value)
	}
	next := a.refresh(s, set.Refresh).tokens(t)
	for what, token := range map[string]string{"": set.Access, "another ": next.Access} {
		keep(what+"access token", token)
		parts := strings.Split(token, ".")
		keep("the claims of "+what+"access token", parts[1])
		keep("the signature of "+what+"access token", parts[2])
	}
	keep("an ID token", set.ID)
	keep("a refresh token", set.Refresh)
	keep("another refresh token", next.Refresh)
	a.redeem(s, code) // it is used again
	other := a.tokens(s, p, "minji", "scope", "openid offline_access read")
	more := a.refresh(s, other.Refresh).tokens(t)
	a.refresh(s, more.Refresh)
	a.refresh(s, other.Refresh) // so is this
	token := keep("a token of a client", s.token("machine", machine))
	s.post("/oauth2/revoke", "machine", machine, url.Values{"token": {token}})
	s.post("/oauth2/token", "machine", keep("a wrong client secret", "no secret of anybody"), url.Values{"grant_type": {"client_credentials"}})
	first := s.postJSON("/login", members{"username": "minji", "password": goodPassword, "client_id": "mobile", "scope": "read"}).json(t)
	for _, name := range []string{"accessToken", "refreshToken", "deviceToken"} {
		keep("what an app got as "+name, fmt.Sprint(first[name]))
	}
	s.postJSON("/login", members{"username": "minji", "password": keep("a wrong password", "not the password"), "client_id": "mobile"})

	// What administrators do, on this machine and elsewhere.
	environ := login(t, d, s, "root")
	kept, err := os.ReadFile(filepath.Join(strings.TrimPrefix(environ[0], "HOME="), "ingam", "login.json"))
	if err != nil {
		t.Fatal(err)
	}
	var by struct {
		JTI string `json:"jti"`
	}
	for _, m := range regexp.MustCompile(`"(access|refresh)_token": ?"([^"]+)"`).FindAllStringSubmatch(string(kept), -1) {
		keep("the "+m[1]+" token of an administrator", m[2])
		if m[1] == "access" {
			claims, err := base64.RawURLEncoding.DecodeString(strings.Split(m[2], ".")[1])
			if err != nil {
				t.Fatal(err)
			}
			mustUnmarshal(t, string(claims), &by)
		}
	}
	elsewhere := func(stdin string, args ...string) ended {
		t.Helper()
		e := program(t, plainBinary(), strings.TrimPrefix(environ[0], "HOME="), environ, stdin, append(args, "--server", d.issuer)...)
		if e.status != done {
			t.Fatalf("%q: %+v", args, e)
		}
		return e
	}
	var shown struct {
		ClientSecret string `json:"client_secret"`
		APISecret    string `json:"api_secret"`
		Link         string `json:"link"`
	}
	mustUnmarshal(t, elsewhere("", "client", "secret", "add", "machine", "--json").stdout, &shown)
	keep("a second client secret", shown.ClientSecret)
	mustUnmarshal(t, elsewhere("", "api", "create", "--audience", "https://shared.test", "--name", "Shared", "--scope", "share", "--signing-alg", "HS256", "--json").stdout, &shown)
	keep("a shared secret", shown.APISecret)
	elsewhere(keep("a new password", "a password that is new to all")+"\n", "user", "set-password", "minji", "--password-stdin")
	mustUnmarshal(t, elsewhere("", "user", "reset-link", "minji", "--json").stdout, &shown)
	keep("the token of a link", shown.Link[strings.LastIndex(shown.Link, "=")+1:])
	elsewhere(keep("a token that an administrator revokes", s.token("machine", machine))+"\n", "revoke", "--token-stdin")
	d.must("client", "disable", "machine") // and on this one
	s.stop()

	log := d.must("audit", "list", "--all", "--json") + d.must("audit", "export")
	for what, secret := range used {
		if strings.Contains(log, secret) {
			t.Errorf("%s is in the audit log", what)
		}
	}
	if len(used) < 25 {
		t.Errorf("only %d were looked for", len(used))
	}
	for _, action := range []string{"session.begin", "consent.give", "grant.begin", "code.reuse", "grant.reuse", "cut.token", "client.secret.add", "api.create", "user.password", "sign_in.refuse"} {
		events := d.events(t, action)
		if len(events) == 0 {
			t.Fatalf("there is no %s", action)
		}
		last := events[len(events)-1]
		if (last.Details["address"] != "127.0.0.1") != (action == "sign_in.refuse") {
			t.Errorf("%s: %+v", action, last)
		}
	}
	// What an administrator did says by which token, and through which client; what an
	// operator did here, who that was.
	for _, action := range []string{"client.secret.add", "api.create", "user.password", "user.link"} {
		events := d.events(t, action)
		if e := events[len(events)-1]; e.Details["token_client"] != "ingam-cli" || by.JTI == "" || e.Details["token"] != by.JTI || !strings.HasPrefix(e.Actor, "user:") {
			t.Errorf("%+v", e)
		}
	}
	for _, e := range append(d.events(t, "client.create"), d.events(t, "client.disable")...) {
		if e.Details["address"]+e.Details["token"]+e.Details["token_client"] != "" || !strings.HasPrefix(e.Actor, "cli:") {
			t.Errorf("%+v", e)
		}
	}
}
