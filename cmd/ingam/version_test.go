package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
)

func TestABuildNamesItsVersionCommitAndDate(t *testing.T) {
	t.Parallel()
	const commit, date = "0123456789abcdef0123456789abcdef01234567", "2026-01-02T03:04:05Z"
	info := func(version string, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: version}, Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: commit}, {Key: "vcs.time", Value: date}, {Key: "vcs.modified", Value: modified},
		}}
	}
	for name, c := range map[string]struct {
		stamped build
		info    *debug.BuildInfo
		want    build
	}{
		"by the Go command":   {info: info("v1.2.3", "false"), want: build{"v1.2.3", commit, date, "go1.26"}},
		"of changed files":    {info: info("v1.2.3+dirty", "true"), want: build{"v1.2.3+dirty", commit + "+dirty", date, "go1.26"}},
		"stamped":             {stamped: build{version: "v2", commit: "c", date: "d"}, info: info("(devel)", "true"), want: build{"v2", "c", "d", "go1.26"}},
		"without a tag":       {stamped: build{commit: "c", date: "d"}, info: info("v0.0.0-1", "true"), want: build{"v0.0.0-1", "c", "d", "go1.26"}},
		"outside of any tree": {info: &debug.BuildInfo{GoVersion: "go1.26"}, want: build{"(devel)", "unknown", "unknown", "go1.26"}},
	} {
		if got := buildFrom(c.stamped, c.info); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestMakeStampsTheBinary(t *testing.T) {
	t.Parallel()
	// What make would run, without what compiles everything anew.
	printed := exec.Command("make", "--no-print-directory", "-n", "build", "VERSION=v9.8.7", "COMMIT=c0ffee", "DATE=2026-01-02T03:04:05Z")
	printed.Dir = filepath.Join("..", "..")
	recipe, err := printed.CombinedOutput()
	if err != nil {
		t.Fatalf("make -n: %v\n%s", err, recipe)
	}
	stamps := strings.Join(regexp.MustCompile(`-X main\.\w+=[^ ']+`).FindAllString(string(recipe), -1), " ")
	binary := filepath.Join(t.TempDir(), "ingam")
	if out, err := exec.Command("go", "build", "-ldflags", stamps, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command(binary, "version").CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "ingam v9.8.7 commit c0ffee date 2026-01-02T03:04:05Z go") {
		t.Errorf("%v: %s", err, out)
	}

	d := newDeployment(t, "")
	d.binary = binary
	first, _, _ := strings.Cut(d.refuses("--listen", "127.0.0.1:1", "--database", "sqlite:"+d.dir), "\n")
	wantSaid(t, first, `"level":"INFO"`, `"version":"v9.8.7"`, `"commit":"c0ffee"`, `"date":"2026-01-02T03:04:05Z"`)
}
