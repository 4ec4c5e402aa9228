package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the commands as an operator does. Each script has a folder of its own,
// and settings for a database and a master key that do not exist yet. Beside the usual
// commands of testscript there are
//
//	status N COMMAND…   the exit status is N
//	json PATH WANT…     the last standard output is JSON that has WANT at PATH
//	save PATH NAME      the value at PATH becomes a variable
//	event N ACTION SUBJECT REASON
//	                    the audit has N rows, and the last one says this, with the
//	                    operator as its actor
//	mode MODE FILE      the file has that mode
//
// A path is written as a.0.b: a number is an index of a list, and len is its length.
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

// printed parses the output of the last command as JSON, and checks that all names in it
// have the same style.
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
