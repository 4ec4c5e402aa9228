package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestScripts runs the commands as an operator does and, once more, as an administrator
// does elsewhere: then each command about records is sent to a server, with --server and the
// tokens of `ingam login`. What is expected is the same. Each script has a folder of its own,
// and settings for a database and a master key that do not exist yet. Beside the usual
// commands of testscript there are
//
//	server              the script begins with an installation, which has an administrator;
//	                    elsewhere its server runs, and commands are sent to it
//	login               elsewhere, the administrator signs in again
//	status N COMMAND…   the exit status is N
//	json PATH WANT…     the last standard output is JSON that has WANT at PATH
//	save PATH NAME      the value at PATH becomes a variable
//	event N ACTION SUBJECT REASON
//	                    the audit has N rows of the script, and the last one says this, with
//	                    who ran the command as its actor
//	mode MODE FILE      the file has that mode
//
// A path is written as a.0.b: a number is an index of a list, and len is its length.
func TestScripts(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	here, there := scripts(t), []string{}
	for _, file := range here {
		if _, only := onlyHere[scriptName(file)]; !only {
			there = append(there, file)
		}
	}
	t.Run("here", func(t *testing.T) { testscript.Run(t, way{i, t, false}.params(here)) })
	t.Run("there", func(t *testing.T) { testscript.Run(t, way{i, t, true}.params(there)) })
}

// onlyHere are the scripts about what is only done on the server's own machine, and why,
// with the commands about records that they have nevertheless.
var onlyHere = map[string]struct {
	why  string
	sent []string
}{
	"auditchain": {"no server has run yet, so that nothing of the audit is chained", []string{"api", "audit"}},
	"backup":     {"files of the database are copied and replaced while no server has them open", []string{"audit", "user"}},
	"bench":      {"it starts servers of its own; an API is made in one of their databases", []string{"api"}},
	"begin":      {"there is no server before there are a database, a master key and an administrator", []string{"api", "audit", "client", "key", "user"}},
	"config":     {"settings of this machine; commands that find no database there", []string{"api", "audit", "client", "grant", "key", "revoke", "session", "user"}},
}

// TestScriptsRunBothWays: a script with a command about records begins with an installation,
// and so goes both ways, unless the list says why not.
func TestScriptsRunBothWays(t *testing.T) {
	t.Parallel()
	listed := maps.Clone(onlyHere)
	word := regexp.MustCompile(`\bingam (` + strings.Join(sentCommands(), "|") + `)\b`)
	for _, file := range scripts(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var lines, sent []string
		for _, line := range strings.Split(string(txtar.Parse(b).Comment), "\n") {
			if line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
			if said := word.FindStringSubmatch(line); said != nil && !strings.HasPrefix(line, "std") && !strings.HasPrefix(line, "#") {
				sent = append(sent, said[1])
			}
		}
		slices.Sort(sent)
		name := scriptName(file)
		only, is := listed[name]
		delete(listed, name)
		switch sent = slices.Compact(sent); {
		case is && !slices.Equal(sent, only.sent):
			t.Errorf("%s has commands about %q, and the list says %q", name, sent, only.sent)
		case !is && lines[0] != "server":
			t.Errorf("%s runs one way: it does not begin with server, and is not in the list", name)
		case !is && len(sent) == 0:
			t.Errorf("%s has no command that is sent elsewhere, and is not in the list", name)
		case is && slices.Contains(lines, "server"):
			t.Errorf("%s is in the list, and begins with a server", name)
		}
	}
	if len(listed) > 0 {
		t.Errorf("there are no such scripts: %v", listed)
	}
}

// scripts returns the files of the scripts.
func scripts(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	return files
}

func scriptName(file string) string { return strings.TrimSuffix(filepath.Base(file), ".txtar") }

// way is one of the ways in which scripts run.
type way struct {
	*installation
	t     *testing.T
	there bool
}

// begun is what a script began with.
type begun struct {
	environ []string
	server  *served // nil if there is none
	// others are the ids of the events that are not the script's own.
	others map[any]bool
	// actor is who runs its commands.
	actor string
}

// begunKey is the key of the script's begun among its values.
type begunKey struct{}

func (w way) params(files []string) testscript.Params {
	return testscript.Params{
		Files: files,
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars, w.environ(e.WorkDir)...)
			e.Setenv("GORACE", os.Getenv("GORACE"))
			// A command hardly does more than start. What it makes then, it keeps: collecting
			// garbage would take a third of its CPU time.
			e.Setenv("GOGC", "400")
			e.Values[begunKey{}] = &begun{environ: slices.Clone(e.Vars), actor: string(operator())}
			folder := filepath.Dir(w.command)
			if w.there {
				folder = w.sending
			}
			e.Setenv("PATH", folder+string(os.PathListSeparator)+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"server": w.server,
			"login":  w.loginAgain,
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
			"event": event,
			"mode": func(ts *testscript.TestScript, _ bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[1]))
				ts.Check(err)
				if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
					ts.Fatalf("%s has the mode %s", args[1], got)
				}
			},
		},
	}
}

// server gives a script a copy of the installation.
func (w way) server(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(w.copyTo(ts.Getenv("WORK")))
	b := ts.Value(begunKey{}).(*begun)
	b.others = maps.Clone(w.events)
	if !w.there {
		return
	}
	s, err := w.serve(b.environ)
	ts.Check(err)
	ts.Defer(func() {
		if err := s.stop(); err != nil {
			w.t.Errorf("the server of %s: %v\n%s", ts.Name(), err, s.log.String())
		}
	})
	b.server, b.actor = s, w.actor
	ts.Setenv("HTTPS_PROXY", s.proxy.URL)
	ts.Setenv("INGAM_TEST_SERVER", scriptIssuer)
}

// loginAgain signs the administrator in. What that adds to the audit is not the script's.
func (w way) loginAgain(ts *testscript.TestScript, _ bool, _ []string) {
	b := ts.Value(begunKey{}).(*begun)
	if b.server == nil {
		return
	}
	before, err := w.eventsOf(b.environ)
	ts.Check(err)
	ts.Check(b.server.login(b.environ))
	after, err := w.eventsOf(b.environ)
	ts.Check(err)
	for id := range after {
		if !before[id] {
			b.others[id] = true
		}
	}
}

// event checks the audit.
func event(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(ts.Exec("ingam", "audit", "list", "--json"))
	b := ts.Value(begunKey{}).(*begun)
	events := slices.DeleteFunc(printed(ts).([]any), func(e any) bool { return b.others[e.(map[string]any)["id"]] })
	if fmt.Sprint(len(events)) != args[0] {
		ts.Fatalf("the audit has %d rows, want %s", len(events), args[0])
	}
	last := events[len(events)-1].(map[string]any)
	for i, name := range []string{"action", "subject", "reason"} {
		if got, _ := last[name].(string); got != args[i+1] {
			ts.Fatalf("its %s is %q, want %q", name, got, args[i+1])
		}
	}
	if last["actor"] != b.actor || last["at"] == nil {
		ts.Fatalf("it does not say who and when: %v", last)
	}
}

// printed parses the output of the last command as JSON, and checks that all names in it
// have the same style; but for those of scopes, which somebody else chose.
func printed(ts *testscript.TestScript) any {
	out := ts.ReadFile("stdout")
	var v any
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		ts.Fatalf("standard output is not JSON: %v", err)
	}
	for _, m := range regexp.MustCompile(`(?m)^ *"([^"]*)": `).FindAllStringSubmatch(out, -1) {
		if !regexp.MustCompile(`^[a-z0-9_]+$|:`).MatchString(m[1]) {
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

// field finds a value in JSON by a path such as a.0.b; len is the length of a list.
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
