package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ingam/ingam/"

// allowed says which packages of ours a package may import (not counting
// tests), as ARCHITECTURE.md has it.
var allowed = map[string][]string{
	"cmd/ingam":           {"authz", "authz/accounts", "authz/apis", "authz/audit", "authz/changes", "authz/clients", "authz/engine", "authz/grants", "authz/revocation", "authz/status", "authz/tokens", "config", "keys", "storage", "verify", "web", "web/metrics", "web/pages"},
	"cmd/ingam-demo-api":  {"verify"},
	"verify":              {},
	"config":              {},
	"keys":                {},
	"migrations":          {},
	"authz/protocol":      {},
	"authz/audit":         {},
	"authz/changes":       {},
	"authz/apis":          {"authz/audit", "authz/changes"},
	"authz/accounts":      {"authz/audit", "authz/changes", "authz/apis"},
	"authz/clients":       {"authz/audit", "authz/changes", "authz/protocol", "authz/apis"},
	"authz/status":        {"authz/changes"},
	"authz/revocation":    {"authz/audit", "authz/changes", "authz/status"},
	"authz/tokens":        {"authz/changes", "authz/status", "keys"},
	"authz/grants":        {"authz/audit", "authz/changes", "authz/protocol", "authz/apis", "authz/accounts", "authz/clients", "authz/revocation", "authz/status", "authz/tokens", "keys"},
	"authz/engine":        {"authz/protocol", "authz/clients", "authz/grants"},
	"authz":               {"authz/audit", "authz/changes", "authz/protocol", "authz/apis", "authz/accounts", "authz/clients", "authz/grants", "authz/revocation", "authz/status", "authz/tokens"},
	"storage":             {"authz/audit", "authz/changes", "authz/apis", "authz/accounts", "authz/clients", "authz/revocation", "authz/status", "authz/grants", "keys", "migrations"},
	"storage/storagetest": {"authz/audit", "authz/changes", "authz/apis", "authz/accounts", "authz/clients", "authz/revocation", "authz/status", "authz/grants", "keys", "migrations", "storage"},
	"web":                 {"authz", "authz/audit", "authz/changes", "authz/protocol", "authz/apis", "authz/accounts", "authz/clients", "authz/engine", "authz/grants", "authz/status", "web/pages"},
	"web/metrics":         {},
	"web/pages":           {},
}

// confined says where alone a library may be imported.
var confined = map[string][]string{
	"github.com/ory/fosite":       {"authz/engine"},
	"gorm.io/":                    {"storage"},
	"github.com/go-jose/go-jose/": {"keys", "verify"},
	"github.com/pressly/goose/":   {"storage", "migrations"},
	"github.com/tink-crypto/":     {"keys"},
	"github.com/spf13/cobra":      {"cmd"},
	"go.yaml.in/yaml/":            {"config"},
	"github.com/prometheus/":      {"web/metrics"},
	"github.com/rs/cors":          {"web", "cmd/ingam-demo-api"},
}

func TestPackagesImportOnlyWhatTheArchitectureAllows(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen++
		name := strings.TrimPrefix(p.ImportPath, module)
		may, known := allowed[name]
		if !known {
			t.Errorf("package %s has no rule: add one here and to ARCHITECTURE.md", name)
		}
		for _, imported := range p.Imports {
			if ours, is := strings.CutPrefix(imported, module); is && !slices.Contains(may, ours) {
				t.Errorf("%s imports %s, which its rule does not allow", name, ours)
			}
			for library, homes := range confined {
				if strings.HasPrefix(imported, library) && !slices.ContainsFunc(homes, func(home string) bool {
					return name == home || strings.HasPrefix(name, home+"/")
				}) {
					t.Errorf("%s imports %s, which is confined to %s", name, imported, strings.Join(homes, ", "))
				}
			}
		}
	}
	if seen != len(allowed) {
		t.Errorf("%d packages and %d rules: a rule is left over", seen, len(allowed))
	}
}
