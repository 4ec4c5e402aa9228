package processes

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// demonstrate runs `serve --demo` in a folder, and returns its output.
func demonstrate(t *testing.T, dir, listen string) (s *server, printed string) {
	t.Helper()
	d := &deployment{t: t, dir: dir, binary: plainBinary(), issuer: "http://" + listen}
	s = &server{d: d, url: d.issuer, log: &logBuffer{}, waited: make(chan struct{})}
	stdout := &logBuffer{}
	s.cmd = exec.Command(d.binary, "serve", "--demo", "--listen", listen)
	s.cmd.Dir, s.cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	s.cmd.Stdout, s.cmd.Stderr = stdout, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.mind()
	s.awaitReady()
	eventually(t, "the demonstration says what to do", time.Minute, func() bool { return strings.Contains(stdout.String(), "Ctrl-C") })
	return s, stdout.String()
}

// demoPasswords returns the passwords that a demonstration printed: the person's, and the
// administrator's.
func demoPasswords(printed string) (person, administrator string) {
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^  password +(\S+)$`).FindAllStringSubmatch(printed, -1) {
		all = append(all, m[1])
	}
	return all[0], all[1]
}

// TestTheDemonstrationIsAdministeredByWhatItPrints: with the commands that it prints, grants
// are listed and one is revoked, and its administrator signs in; also on another port, which
// is another issuer.
func TestTheDemonstrationIsAdministeredByWhatItPrints(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, listen := range []string{freeAddress(t), freeAddress(t)} {
		s, printed := demonstrate(t, dir, listen)
		password, administrator := demoPasswords(printed)
		shown := s.person().get(demoPath+"?start").follow().
			submit("username", demoUser, "password", password).follow()
		if strings.Contains(shown.body, `name="decision"`) { // the first time
			shown = shown.submit("decision", "allow").follow()
		}
		// Its API asks for roles.
		if !regexp.MustCompile(`(?s)&#34;roles&#34;: \[\s*&#34;reader&#34;`).MatchString(shown.body) {
			t.Errorf("the access token has no roles: %s", shown.body)
		}
		commands := regexp.MustCompile(`(?m)^  (token=.*)\n  (curl .*)\n  (curl .*)$`).FindStringSubmatch(printed)
		if commands == nil {
			t.Fatalf("no commands for grants are printed:\n%s", printed)
		}
		run := func(command string) (answer struct {
			Items []struct {
				ID      string
				Revoked bool
			}
		}) {
			t.Helper()
			cmd := exec.Command("sh", "-c", commands[1]+"\n"+command)
			cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			mustUnmarshal(t, string(out), &answer)
			return answer
		}
		listed := run(commands[2]).Items
		if len(listed) == 0 || listed[0].Revoked {
			t.Fatalf("%+v", listed)
		}
		run(strings.ReplaceAll(commands[3], "GRANT", listed[0].ID))
		if after := run(commands[2]).Items; after[0].ID != listed[0].ID || !after[0].Revoked {
			t.Errorf("%+v", after)
		}
		environ := loginBy(t, s.d, s, "admin", administrator)
		for _, args := range [][]string{{"user", "list"}, {"apply", "-f", filepath.Join(dir, demoFolder, "demo.yaml"), "--plan"}} {
			e := program(t, plainBinary(), dir, environ, "", append(args, "--server", s.d.issuer)...)
			if e.status != done {
				t.Errorf("%q: %+v", args, e)
			}
		}
		s.stop()
	}
}

func TestTheDemonstrationInABrowser(t *testing.T) {
	t.Parallel()
	b := tab{t, browser(t, "en"), "the demonstration"}
	if err := chromedp.Do(b.ctx); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	_, printed := demonstrate(t, t.TempDir(), listen)
	password, _ := demoPasswords(printed)
	b.do("open it", chromedp.Navigate("http://"+listen+demoPath), chromedp.WaitVisible(".button.main"))
	// Only the keyboard is used.
	b.do("begin", chromedp.KeyEvent("\t\r"), chromedp.WaitVisible("#password"))
	b.do("sign in", chromedp.SendKeys("#username", demoUser), chromedp.SendKeys("#password", password+"\r"))
	b.do("allow", chromedp.WaitVisible(`button[value="allow"]`), chromedp.Click(`button[value="allow"]`), chromedp.WaitVisible("#refresh-token"))
	b.do("see another's answer", chromedp.Navigate("http://"+listen+demoPath+"?code=x&state=y"), chromedp.WaitVisible(".alert"))
}

func TestTheDemonstrationWorksByCopyingWhatItPrints(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed, which the demonstration's commands need: install it")
	}
	dir := t.TempDir()
	listen := freeAddress(t)
	copied := func(command string) (stdout, stderr string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", command)
		// As in a terminal in the same folder, no setting is in the environment.
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
		var out, err bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &err
		if failure := cmd.Run(); failure != nil {
			t.Fatalf("%s: %v\n%s", command, failure, err.String())
		}
		return out.String(), err.String()
	}
	var earlier []string // the commands that the previous start printed
	for range 2 {
		s, printed := demonstrate(t, dir, listen)
		if !strings.Contains(printed, "DEMONSTRATION") || !strings.Contains(printed, "not for real use") {
			t.Errorf("it does not say that it is a demonstration:\n%s", printed)
		}
		var commands []string
		for _, m := range regexp.MustCompile(`(?m)^  (curl .* -u .*)$`).FindAllStringSubmatch(printed, -1) {
			commands = append(commands, m[1])
		}
		if len(commands) != 2 {
			t.Fatalf("%d commands in\n%s", len(commands), printed)
		}
		// A second start uses the same client and keys, so that commands that were copied
		// before still work.
		for _, get := range slices.Concat(commands[:1], earlier[:min(1, len(earlier))]) {
			var answer struct {
				AccessToken string `json:"access_token"`
				ExpiresIn   int    `json:"expires_in"`
			}
			out, _ := copied(get)
			if err := json.Unmarshal([]byte(out), &answer); err != nil || answer.ExpiresIn != 900 || strings.Count(answer.AccessToken, ".") != 2 {
				t.Errorf("%v %+v", err, answer)
			}
		}
		for _, check := range slices.Concat(commands[1:], earlier[min(1, len(earlier)):]) {
			var claims map[string]any
			out, said := copied(check)
			if err := json.Unmarshal([]byte(out), &claims); err != nil || claims["iss"] != "http://"+listen || claims["aud"] != demoAudience || claims["sub"] != demoClient {
				t.Errorf("%v %v", err, claims)
			}
			wantSaid(t, said, "The signature is good", listen)
		}
		earlier = commands
		if code := s.stop(); code != done {
			t.Fatalf("exit status %d", code)
		}
	}
	demonstrate(t, dir, listen) // SQLite's other files exist only while it runs
	// The scopes of the demonstration's API have texts that people can understand.
	shown, _ := copied("ingam api show " + demoAudience + " --json --database sqlite:" + demoFolder + "/ingam.db --issuer http://" + listen)
	var api apiJSON
	if err := json.Unmarshal([]byte(shown), &api); err != nil || len(api.Scopes) == 0 {
		t.Errorf("%v: %s", err, shown)
	}
	for _, scope := range api.Scopes {
		if told := api.ScopeTexts[scope]; told["en"] == "" || told["ko"] == "" {
			t.Errorf("the texts of the scope %s are %v", scope, told)
		}
	}

	err := filepath.Walk(filepath.Join(dir, demoFolder), func(path string, info os.FileInfo, err error) error {
		want := os.FileMode(0o600)
		if info.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has the mode %o", path, info.Mode().Perm())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestTheDemonstrationTouchesNothingReal(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "")
	for what, set := range map[string][]string{
		"both": nil, "the database": {"INGAM_MASTER_KEY_FILE="}, "the master key": {"INGAM_DATABASE="},
	} {
		e := d.command("", set, "serve", "--demo")
		if e.status != failed || e.stdout != "" {
			t.Errorf("with %s: %+v", what, e)
		}
		wantSaid(t, e.stderr, "unset database")
	}
	if _, err := os.Stat(filepath.Join(d.dir, demoFolder)); err == nil {
		t.Error("it made its folder")
	}
	if _, err := os.Stat(strings.TrimPrefix(d.database, "sqlite:")); err == nil {
		t.Error("it made the database")
	}
}
