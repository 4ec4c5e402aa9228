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

// demoPassword returns the password that a demonstration printed.
func demoPassword(printed string) string {
	for line := range strings.Lines(printed) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), "password"); is {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestTheDemonstrationInABrowser(t *testing.T) {
	t.Parallel()
	b := tab{t, browser(t, "en"), "the demonstration"}
	if err := chromedp.Do(b.ctx); err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	_, printed := demonstrate(t, t.TempDir(), listen)
	b.do("open it", chromedp.Navigate("http://"+listen+demoPath), chromedp.WaitVisible(".button.main"))
	// Only the keyboard is used.
	b.do("begin", chromedp.KeyEvent("\t\r"), chromedp.WaitVisible("#password"))
	b.do("sign in", chromedp.SendKeys("#username", demoUser), chromedp.SendKeys("#password", demoPassword(printed)+"\r"))
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
		for _, m := range regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(printed, -1) {
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
