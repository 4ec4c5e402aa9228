package main

import (
	"cmp"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func versionCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version, the commit and its date", Args: exactly(0),
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			fmt.Fprintf(t.stdout, "ingam %s commit %s date %s %s\n", b.version, b.commit, b.date, b.goVersion)
			return nil
		},
	}
}

// `make build` sets these with the linker, from the repository; they are empty
// otherwise. The Go command knows the repository too, but not inside an image build.
var stampedVersion, stampedCommit, stampedDate string

// build says from what a binary was built.
type build struct {
	version, commit string
	// date is the time of the commit, so that it is the same for everyone who builds
	// it.
	date      string
	goVersion string
}

// thisBuild returns the values that `make build` has set and, for missing ones, what
// the Go command recorded.
func thisBuild() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	return buildFrom(build{version: stampedVersion, commit: stampedCommit, date: stampedDate}, info)
}

func buildFrom(stamped build, info *debug.BuildInfo) build {
	recorded := map[string]string{}
	for _, s := range info.Settings {
		recorded[s.Key] = s.Value
	}
	commit := recorded["vcs.revision"]
	if commit != "" && recorded["vcs.modified"] == "true" {
		commit += "+dirty"
	}
	return build{
		version:   cmp.Or(stamped.version, info.Main.Version, "(devel)"),
		commit:    cmp.Or(stamped.commit, commit, "unknown"),
		date:      cmp.Or(stamped.date, recorded["vcs.time"], "unknown"),
		goVersion: cmp.Or(info.GoVersion, "unknown"),
	}
}
