package main

import (
	"runtime/debug"
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
