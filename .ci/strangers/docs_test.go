package strangers

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The documentation's examples, run as they are printed: the files are written, the
// commands run by a shell, and what the text says happens. Only the ports are others, so
// that tests run beside each other. A comment in front of a block names it:
//
//	<!-- node: app.mjs -->     a file of the example "node"
//	<!-- node: register -->    commands, to be run where Ingam is
//	<!-- node: install -->     commands, to be run in the example's folder
//	<!-- node: start -->       the same; they go on until they are stopped

const (
	appsDoc = "../../docs/apps.md"
	apisDoc = "../../docs/resource-servers.md"
	readme  = "../../README.md"
)

// example is one of a document's examples: its blocks, by name.
type example map[string]string

var block = regexp.MustCompile("(?ms)(?:^<!-- (\\S+): (\\S+) -->\n)?^```(\\w*)\n(.*?)^```$")

// readExamples reads the examples of a document, and the blocks that belong to none.
func readExamples(t testing.TB, document string) (all map[string]example, others []string) {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]example{}
	for _, m := range block.FindAllStringSubmatch(string(text), -1) {
		name, part, language, content := m[1], m[2], m[3], m[4]
		switch {
		case name == "":
			others = append(others, language+"\n"+content)
			continue
		case all[name] == nil:
			all[name] = example{}
		}
		all[name][part] += content
	}
	return all, others
}

// TestDocumentedAppsAreAllRun fails for a block that nothing runs; what a terminal shows
// is not run.
func TestDocumentedAppsAreAllRun(t *testing.T) {
	t.Parallel()
	examples, others := readExamples(t, appsDoc)
	for _, block := range others {
		if language, _, _ := strings.Cut(block, "\n"); language != "console" && language != "json" && language != "text" {
			t.Errorf("nothing runs this block:\n%s", block)
		}
	}
	run := map[string]bool{"texts": true, "spa": true, "node": true, "spring": true, "flask": true, "go": true, "desktop": true}
	for name := range examples {
		if !run[name] {
			t.Errorf("no test runs the example %s", name)
		}
	}
}

var redirectPort = regexp.MustCompile(`--redirect-uri http://localhost:(\d+)/`)

// documented is an example of docs/apps.md that was registered, written and installed.
type documented struct {
	*testing.T
	*provider
	example
	// home is where the app is, without a slash at the end.
	home, address string
	dir, secret   string
}

// document sets an example up as docs/apps.md says, with settings for Ingam.
func document(t *testing.T, name string, settings ...string) *documented {
	t.Helper()
	t.Parallel()
	examples, _ := readExamples(t, appsDoc)
	e := examples[name]
	if e == nil {
		t.Fatalf("%s has no example %s", appsDoc, name)
	}
	d := &documented{T: t, provider: startProviderAtLocalhost(t, settings...), example: example{}, dir: t.TempDir()}
	ports := []string{"localhost:8080", strings.TrimPrefix(d.issuer, "http://")}
	if m := redirectPort.FindStringSubmatch(e["register"]); m != nil {
		d.address = freeAddress(t)
		d.home = "http://localhost:" + port(d.address)
		ports = append(ports, m[1], port(d.address))
	}
	moved := strings.NewReplacer(ports...)
	for part, content := range e {
		d.example[part] = moved.Replace(content)
	}
	if m := regexp.MustCompile(`(?m)^client_secret: (\S+)$`).FindStringSubmatch(shell(t, d.example["register"], d.provider.dir, d.provider.env)); m != nil {
		d.secret = m[1]
	}
	d.example.write(t, d.dir)
	if d.example["install"] != "" {
		shell(t, d.example["install"], d.dir, os.Environ())
	}
	return d
}

// write writes the example's files, which are the blocks with a file's name.
func (e example) write(t testing.TB, dir string) {
	t.Helper()
	for part, content := range e {
		if !strings.Contains(part, ".") && part != "Caddyfile" {
			continue
		}
		file := filepath.Join(dir, filepath.FromSlash(part))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// startProviderAtLocalhost starts one where the documentation's is, but for the port.
func startProviderAtLocalhost(t *testing.T, settings ...string) *provider {
	t.Helper()
	address := freeAddress(t)
	p := &provider{issuer: "http://localhost:" + port(address), dir: checkout(t)}
	p.start(t, address, settings...)
	return p
}

// checkout makes a folder that has the binary where "make build" puts it.
func checkout(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(ingam, filepath.Join(dir, "bin", "ingam")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// shell runs commands and returns what they print.
func shell(t testing.TB, commands, dir string, env []string) string {
	t.Helper()
	cmd := exec.Command("sh", "-ec", commands)
	cmd.Dir, cmd.Env = dir, env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", commands, err, out, stderr.String())
	}
	return string(out)
}

// command is the one that starts the app.
func (d *documented) command(env ...string) *exec.Cmd {
	cmd := exec.Command("sh", "-ec", d.example["start"])
	cmd.Dir = d.dir
	cmd.Env = append(append(os.Environ(), "CLIENT_SECRET="+d.secret), env...)
	return cmd
}

// requests counts the requests in the server's log for which all parts are in the line.
func (d *documented) requests(parts ...string) int {
	d.Helper()
	n := 0
lines:
	for line := range strings.Lines(d.log.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		n++
	}
	return n
}

// refreshed is how often a refresh succeeded, and signedIn a sign-in.
func (d *documented) refreshed() int {
	return d.requests(`"path":"/oauth2/token"`, `"grant_type":"refresh_token"`, `"status":200`)
}

func (d *documented) signedIn() int {
	return d.requests(`"method":"POST"`, `"path":"/login"`, `"status":303`)
}

// await waits until a count is right: the server logs a request after it was answered.
func (d *documented) await(what string, count func() int, want int) {
	d.Helper()
	for deadline := time.Now().Add(time.Minute); count() < want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			break
		}
	}
	if n := count(); n != want {
		d.Fatalf("%s: %d, not %d", what, n, want)
	}
}

// says fails unless a page says something.
func (d *documented) says(what, text string, all ...string) {
	d.Helper()
	for _, part := range all {
		if !strings.Contains(text, part) {
			d.Fatalf("%s: %q is not in:\n%s", what, part, text)
		}
	}
}

// withServer meets an app that has a server of its own: its pages sign in, refresh and
// sign out.
func (d *documented) withServer(signIn string, signOut func(*page) *page) {
	d.Helper()
	startProcess(d, d.command(), d.address)
	p := newPerson(d, d.provider)
	d.says("after sign-in", p.open(d.home+signIn).body, personName+", "+personEmail)
	d.await("sign-ins", d.signedIn, 1)
	before := d.refreshed()
	d.says("after the refresh", p.open(d.home+"/refresh").body, "access token is good")
	d.await("refreshes", d.refreshed, before+1)
	d.says("after all that", p.open(d.home+"/").body, personName+", "+personEmail)
	d.says("after sign-out", signOut(p.open(d.home+"/logout")).body, "Nobody is signed in.")
	d.says("after sign-in again", p.open(d.home+signIn).body, personName+", "+personEmail)
	d.await("sign-ins, after signing out", d.signedIn, 2)
}

func stay(pg *page) *page { return pg }

func TestDocumentedGo(t *testing.T) {
	document(t, "go").withServer("/login", stay)
}

func TestDocumentedDesktop(t *testing.T) {
	need(t, "python3")
	d := document(t, "desktop")
	// The system's browser is one that notes where it was sent.
	opened := filepath.Join(d.dir, "opened")
	browser := filepath.Join(d.dir, "browser")
	if err := os.WriteFile(browser, []byte(fmt.Sprintf("#!/bin/sh\necho \"$1\" >>%s\n", opened)), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := d.command("BROWSER=" + browser)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	p := newPerson(d, d.provider)
	d.says("in the browser", p.open(d.line(opened, 0)).body, "You can close this window")
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "Press Enter"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the app says:\n%s", out.String())
		}
	}
	d.says("the app", out.String(), personName+", "+personEmail, "access token is good")
	d.await("refreshes", d.refreshed, 1)
	fmt.Fprintln(stdin)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	d.await("revocations", func() int { return d.requests(`"path":"/oauth2/revoke"`, `"status":200`) }, 1)
	leave, err := url.Parse(d.line(opened, 1))
	if err != nil {
		t.Fatal(err)
	}
	left, _, _ := p.load(nil, http.MethodGet, leave, nil)
	d.says("after sign-out", left.text(), "You are signed out")
}

// line waits for the line of a file that others write.
func (d *documented) line(file string, number int) string {
	d.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		b, _ := os.ReadFile(file)
		if lines := strings.SplitAfter(string(b), "\n"); len(lines) > number+1 {
			return strings.TrimSpace(lines[number])
		}
	}
	d.Fatalf("%s has no line %d", file, number)
	return ""
}

// TestDocumentedFirstSteps runs those of the README, in one shell, says in words what
// their API's scopes allow, and signs in.
func TestDocumentedFirstSteps(t *testing.T) {
	t.Parallel()
	need(t, "curl", "openssl")
	examples, _ := readExamples(t, readme)
	steps := examples["readme"]
	apps, _ := readExamples(t, appsDoc)
	address := freeAddress(t)
	p := &provider{issuer: "http://localhost:" + port(address), dir: checkout(t)}
	script := steps["start"] +
		"until curl -sf $INGAM_ISSUER/health/ready; do sleep 0.1; done\n" + // people are slower
		steps["client"] + steps["token"] + steps["user"] + apps["texts"]["update"] + "bin/ingam api show https://api.example.com\necho that is all\nwait\n"
	cmd := exec.Command("sh", "-ec", strings.ReplaceAll(script, "localhost:8080", "localhost:"+port(address)))
	cmd.Dir = p.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "INGAM_LISTEN=" + address}
	out := startProcess(t, cmd, address)
	for deadline := time.Now().Add(time.Minute); !strings.Contains(out.String(), "that is all"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it says:\n%s", out.String())
		}
	}
	for _, said := range []string{"created API https://api.example.com", "created client job", `"scope": "read"`, "created user minji", "place orders for you", "대신 주문하기"} {
		if !strings.Contains(out.String(), said) {
			t.Errorf("%q is not in:\n%s", said, out.String())
		}
	}
	account := newPerson(t, p).account()
	if text := account.text(); account.status != http.StatusOK || !strings.Contains(text, personUsername) {
		t.Errorf("%s: %d %s", account.at, account.status, text)
	}
}

// account signs in at the provider's own page.
func (p *person) account() *page {
	p.t.Helper()
	to, err := url.Parse(p.provider.issuer + "/account")
	if err != nil {
		p.t.Fatal(err)
	}
	var from *url.URL
	method, values := http.MethodGet, url.Values(nil)
	for range 10 {
		pg, next, _ := p.load(from, method, to, values)
		switch {
		case next != nil:
			from, method, to, values = to, http.MethodGet, next, nil
		case len(pg.forms) == 1 && pg.forms[0].values.Has("password"):
			from, method, to, values = pg.at, http.MethodPost, pg.forms[0].to, pg.forms[0].values
			values.Set("username", personUsername)
			values.Set("password", personPassword)
		default:
			return pg
		}
	}
	p.t.Fatal("never arrived at the account")
	return nil
}

// documented fails unless the table in docs/apps.md has the application, with the flags
// that it needed and no other.
func (s *stranger) documented() {
	s.Helper()
	text, err := os.ReadFile(appsDoc)
	if err != nil {
		s.Fatal(err)
	}
	name, _, _ := strings.Cut(s.row.application, ",")
	row := regexp.MustCompile(`(?mi)^\| [^|]*` + regexp.QuoteMeta(name) + `[^\w-].*$`).FindString(string(text))
	if row == "" {
		s.Errorf("%s has no row for %s", appsDoc, name)
		return
	}
	needed := ""
	for _, flag := range s.row.flags {
		if flag, _, _ = strings.Cut(flag, " ("); strings.HasPrefix(flag, "--pkce") || strings.HasPrefix(flag, "--auth") {
			needed = strings.Replace(flag, "=", " ", 1)
			if !strings.Contains(row, needed) {
				s.Errorf("%s needed %s, which is not in: %s", name, needed, row)
			}
		}
	}
	if needed == "" && strings.Contains(row, "--pkce") {
		s.Errorf("%s needed no --pkce: %s", name, row)
	}
}
