package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ingam/ingam/"

// root is the folder of the repository.
const root = "../.."

// allowed says which packages of this project a package may import, apart from tests;
// ARCHITECTURE.md says the same.
var allowed = map[string][]string{
	"cmd/ingam":                {"authz", "authz/administration", "authz/authorization", "authz/accounts", "authz/consents", "authz/passwords", "authz/sessions", "authz/signin", "authz/throttle", "authz/apis", "authz/catalog", "authz/audit", "authz/audit/chain", "authz/changes", "authz/clients", "authz/engine", "authz/permission", "authz/grants", "authz/revocation", "authz/status", "authz/status/indices", "authz/status/listeners", "authz/status/lists", "authz/tokens", "cmd/ingam/load", "config", "keys", "keys/masterkey", "keys/openssl", "storage", "web", "web/admin", "web/metrics", "web/pages", "web/pages/texts"},
	"cmd/ingam/load":           {},
	"cmd/ingam/processes":      {},
	"cmd/ingam-demo-api":       {"verify"},
	"verify":                   {},
	"config":                   {},
	"config/limits":            {},
	"keys":                     {},
	"keys/masterkey":           {"keys"},
	"keys/openssl":             {},
	"keys/openssl/openssltest": {},
	"migrations":               {},
	"authz/protocol":           {},
	"authz/audit":              {},
	"authz/audit/chain":        {"authz/audit", "keys"},
	"authz/changes":            {},
	"authz/apis":               {},
	"authz/permission":         {},
	"authz/catalog":            {"authz/apis", "authz/audit", "authz/changes", "authz/field", "keys"},
	"authz/accounts":           {"authz/apis", "authz/audit", "authz/changes", "authz/field"},
	"authz/consents":           {"authz/audit", "authz/permission"},
	"authz/sessions":           {"authz/audit", "authz/changes", "authz/accounts"},
	"authz/throttle":           {},
	"authz/passwords":          {"authz/accounts", "authz/field", "authz/throttle"},
	"authz/signin":             {"authz/audit", "authz/accounts", "authz/passwords", "authz/sessions", "authz/throttle"},
	"authz/clients":            {"authz/audit", "authz/changes", "authz/field", "authz/protocol", "authz/apis", "keys"},
	"authz/field":              {},
	"authz/administration":     {"authz/accounts", "authz/apis", "authz/audit", "authz/audit/chain", "authz/catalog", "authz/changes", "authz/clients", "authz/field", "authz/revocation", "authz/status", "authz/status/indices", "authz/status/listeners", "authz/tokens", "keys"},
	"authz/status":             {},
	"authz/revocation":         {"authz/audit", "authz/changes", "authz/status"},
	"authz/tokens":             {"authz/changes", "authz/status", "keys"},
	"authz/grants":             {"authz/audit", "authz/changes", "authz/permission", "authz/protocol", "authz/apis", "authz/catalog", "authz/accounts", "authz/clients", "authz/revocation", "authz/status", "authz/status/indices", "authz/tokens", "keys", "authz/field"},
	"authz/engine":             {"authz/protocol", "authz/clients", "authz/grants"},
	"authz/authorization":      {"authz/apis", "authz/clients", "authz/consents", "authz/permission", "authz/grants", "authz/protocol", "authz/sessions", "authz/tokens"},
	"authz":                    {"authz/administration", "authz/audit", "authz/changes", "authz/protocol", "authz/apis", "authz/accounts", "authz/consents", "authz/field", "authz/sessions", "authz/clients", "authz/permission", "authz/grants", "authz/revocation", "authz/status/listeners", "authz/tokens"},
	"storage":                  {"authz/administration", "authz/audit", "authz/audit/chain", "authz/changes", "authz/apis", "authz/catalog", "authz/accounts", "authz/consents", "authz/sessions", "authz/throttle", "authz/clients", "authz/revocation", "authz/status", "authz/status/indices", "authz/status/listeners", "authz/status/lists", "authz/permission", "authz/grants", "keys", "migrations"},
	"storage/storagetest":      {"authz/administration", "authz/audit", "authz/audit/chain", "authz/changes", "authz/apis", "authz/catalog", "authz/accounts", "authz/consents", "authz/sessions", "authz/signin", "authz/throttle", "authz/clients", "authz/revocation", "authz/status", "authz/status/indices", "authz/status/listeners", "authz/status/lists", "authz/permission", "authz/grants", "keys", "migrations", "storage"},
	"web":                      {"authz", "authz/administration", "authz/authorization", "authz/audit", "authz/changes", "authz/protocol", "authz/apis", "authz/catalog", "authz/accounts", "authz/consents", "authz/passwords", "authz/sessions", "authz/signin", "authz/throttle", "authz/clients", "authz/engine", "authz/permission", "authz/grants", "authz/status", "authz/status/listeners", "authz/status/lists", "web/admin", "web/pages", "web/pages/texts"},
	"web/admin":                {"authz/accounts", "authz/administration", "authz/apis", "authz/audit", "authz/audit/chain", "authz/catalog", "authz/changes", "authz/clients", "authz/consents", "authz/field", "authz/grants", "authz/permission", "authz/protocol", "authz/sessions", "authz/throttle", "authz/tokens", "keys"},
	"web/metrics":              {},
	"web/pages":                {"web/pages/texts"},
	"web/pages/texts":          {},

	"cmd/ingam/processes/adminclient": {},

	"authz/grants/grantstest":     {"authz/accounts", "authz/apis", "authz/audit", "authz/catalog", "authz/clients", "authz/permission", "authz/grants", "authz/revocation", "authz/sessions", "authz/status", "authz/status/indices", "authz/status/listeners", "authz/status/lists", "authz/tokens", "keys", "keys/masterkey", "storage", "storage/storagetest"},
	"storage/storagetest/between": {},
	"authz/status/indices":        {"authz/changes", "authz/status"},
	"authz/status/listeners":      {"authz/changes"},
	"authz/status/lists":          {"authz/changes", "authz/status", "authz/status/listeners"},
}

// bounds is a package of numbers with names. All packages of the server may import it.
const bounds = "config/limits"

// confined maps a library to the only packages that may import it.
var confined = map[string][]string{
	"github.com/ory/fosite":       {"authz/engine"},
	"gorm.io/":                    {"storage"},
	"github.com/go-jose/go-jose/": {"keys", "verify"},
	"github.com/pressly/goose/":   {"storage", "migrations"},
	"github.com/tink-crypto/":     {"keys"},
	"github.com/spf13/cobra":      {"cmd"},
	"go.yaml.in/yaml/":            {"config", "cmd/ingam"},
	"github.com/prometheus/":      {"web/metrics"},
	"github.com/rs/cors":          {"web", "cmd/ingam-demo-api"},
	"github.com/danielgtaylor/":   {"web/admin"},
}

func TestPackagesImportOnlyWhatTheArchitectureAllows(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, p := range packages(t) {
		seen++
		name := strings.TrimPrefix(p.ImportPath, module)
		may, known := allowed[name]
		if !known {
			t.Errorf("package %s has no rule: add one here and to ARCHITECTURE.md", name)
		}
		for _, imported := range p.Imports {
			if ours, is := strings.CutPrefix(imported, module); is && ours != bounds && !slices.Contains(may, ours) {
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

// TestNoChainOfImportsIsLong: to understand the first package of a chain, a reader has to
// know all the others.
func TestNoChainOfImportsIsLong(t *testing.T) {
	t.Parallel()
	const most = 5
	imports := map[string][]string{}
	for _, p := range packages(t) {
		imports[p.ImportPath] = p.Imports
	}
	longest := map[string][]string{}
	var below func(path string) []string
	below = func(path string) []string {
		if chain, known := longest[path]; known {
			return chain
		}
		var chain []string
		for _, imported := range imports[path] {
			if strings.HasPrefix(imported, module) && len(below(imported)) > len(chain) {
				chain = below(imported)
			}
		}
		longest[path] = append([]string{path}, chain...)
		return longest[path]
	}
	for path := range imports {
		if chain := below(path); len(chain)-1 > most {
			t.Errorf("%d imports lie between the first and the last of %s", len(chain)-1, strings.ReplaceAll(strings.Join(chain, " → "), module, ""))
		}
	}
}

// TestWhatTheServerDecidesKnowsNoHTTP: package web reads each request into values. A
// package that read a request itself could use something that web has not checked, such as
// a parameter that was given twice. (fosite imports net/http; this project cannot change
// that.)
func TestWhatTheServerDecidesKnowsNoHTTP(t *testing.T) {
	t.Parallel()
	imports := map[string][]string{}
	for _, p := range packages(t) {
		imports[p.ImportPath] = p.Imports
	}
	seen := map[string]bool{}
	var look func(path string)
	look = func(path string) {
		if seen[path] || !strings.HasPrefix(path, module) {
			return
		}
		seen[path] = true
		for _, imported := range imports[path] {
			if imported == "net/http" || strings.HasPrefix(imported, "net/http/") {
				t.Errorf("%s imports %s", path, imported)
			}
			look(imported)
		}
	}
	for path := range imports {
		// Packages that only tests use, such as grantstest, open databases and
		// speak HTTP.
		if path == module+"authz" || strings.HasPrefix(path, module+"authz/") && !strings.HasSuffix(path, "test") {
			look(path)
		}
	}
	if len(seen) < 10 {
		t.Errorf("looked at %d packages only", len(seen))
	}
}

// modules returns the folders of the repository's Go modules. It skips folders whose name
// begins with a dot, as .ci/each does.
func modules(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		name := entry.Name()
		switch {
		case err != nil:
			return err
		case path != root && entry.IsDir() && (strings.HasPrefix(name, ".") || name == "node_modules" || name == "testdata"):
			return fs.SkipDir
		case name == "go.mod":
			found = append(found, filepath.Dir(path))
		}
		return nil
	})
	if err != nil || len(found) < 2 {
		t.Fatalf("found the modules %q: %v", found, err)
	}
	return found
}

// listed is a package as "go list" describes it.
type listed struct {
	ImportPath string
	Name       string
	Imports    []string
	Module     struct{ Path string }
}

// packages returns the packages of all modules.
func packages(t *testing.T) []listed {
	t.Helper()
	var all []listed
	for _, dir := range modules(t) {
		out, err := exec.Command("go", "list", "-C", dir, "-json=ImportPath,Name,Imports,Module", "./...").Output()
		if err != nil {
			t.Fatalf("go list in %s: %v", dir, err)
		}
		for d := json.NewDecoder(bytes.NewReader(out)); ; {
			var p listed
			if err := d.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			all = append(all, p)
		}
	}
	return all
}

// required is the content of a go.mod file.
type required struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path, Version string
		Indirect      bool
	}
	Replace []struct{ Old, New struct{ Path string } }
}

func readModule(t *testing.T, dir string) required {
	t.Helper()
	out, err := exec.Command("go", "mod", "edit", "-C", dir, "-json").Output()
	if err != nil {
		t.Fatalf("go mod edit in %s: %v", dir, err)
	}
	var m required
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestWhoeverProtectsAnAPITakesNoServerAlong: the module verify needs only go-jose and the
// standard library, in its tests too. And the server does not need verify.
func TestWhoeverProtectsAnAPITakesNoServerAlong(t *testing.T) {
	t.Parallel()
	verify := readModule(t, filepath.Join(root, "verify"))
	if len(verify.Require) != 1 || verify.Require[0].Path != "github.com/go-jose/go-jose/v4" || len(verify.Replace) != 0 {
		t.Errorf("verify requires %v and replaces %v", verify.Require, verify.Replace)
	}
	for _, p := range packages(t) {
		if p.Module.Path == strings.TrimSuffix(module, "/") && slices.Contains(p.Imports, module+"verify") {
			t.Errorf("%s imports verify", p.ImportPath)
		}
	}
}

// TestModulesAgreeOnWhatTheyShare: all modules use the same version of go-jose, which
// checks signatures, and the same version of Go.
func TestModulesAgreeOnWhatTheyShare(t *testing.T) {
	t.Parallel()
	jose := map[string]bool{}
	language := map[string]bool{}
	for _, dir := range modules(t) {
		m := readModule(t, dir)
		language[m.Go] = true
		for _, r := range m.Require {
			if r.Path == "github.com/go-jose/go-jose/v4" {
				jose[r.Version] = true
			}
		}
	}
	if len(jose) != 1 || len(language) != 1 {
		t.Errorf("go-jose %v, Go %v", jose, language)
	}
}

// TestTheImageFetchesWhatItBuilds: "make build" builds programs, from the modules that they
// and their packages are in. The Dockerfile must download the dependencies of all these
// modules before it copies the source code.
func TestTheImageFetchesWhatItBuilds(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	docker := string(file)
	others, built := map[string]listed{}, []listed{}
	for _, p := range packages(t) {
		if p.Name == "main" {
			built = append(built, p)
		} else {
			others[p.ImportPath] = p
		}
	}
	needed := map[string]bool{}
	for i := 0; i < len(built); i++ {
		needed[built[i].Module.Path] = true
		for _, path := range built[i].Imports {
			if p, ours := others[path]; ours {
				built = append(built, p)
				delete(others, path)
			}
		}
	}
	if len(needed) < 3 { // the server, the demo API, and what that verifies with
		t.Errorf("programs need the modules %v", needed)
	}
	for _, dir := range modules(t) {
		folder, err := filepath.Rel(root, dir)
		if err != nil {
			t.Fatal(err)
		}
		in := ""
		if folder != "." {
			in = filepath.ToSlash(folder) + "/"
		}
		want := "COPY " + in + "go.mod " + in + "go.sum " + cmp.Or(in, "./") + "\n"
		if needed[readModule(t, dir).Module.Path] && !strings.Contains(docker, want) {
			t.Errorf("the Dockerfile lacks %s", want)
		}
	}
}

// TestWhatOnlyTestsNeedIsNotRequiredOfWhoeverImportsTheServer: browsers, and the clients
// and servers of other projects, are required only by the module of the tests that use
// them. And the server's module replaces no other, because "go install" at a version
// refuses such a module.
func TestWhatOnlyTestsNeedIsNotRequiredOfWhoeverImportsTheServer(t *testing.T) {
	t.Parallel()
	helpers := []string{"github.com/google/go-cmp", "github.com/rogpeppe/go-internal", "go.uber.org/goleak"}
	server := readModule(t, root)
	if len(server.Replace) != 0 {
		t.Errorf("the server replaces %v", server.Replace)
	}
	all := packages(t)
	for _, r := range server.Require {
		used := slices.ContainsFunc(all, func(p listed) bool {
			return p.Module.Path == server.Module.Path && slices.ContainsFunc(p.Imports, func(imported string) bool {
				return imported == r.Path || strings.HasPrefix(imported, r.Path+"/")
			})
		})
		if !r.Indirect && !used && !slices.Contains(helpers, r.Path) {
			t.Errorf("only tests use %s", r.Path)
		}
	}
}
