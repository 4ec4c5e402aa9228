//go:build !quick

package strangers

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Applications in Python and Node are processes, which are told in their environment
// where they are and who their provider is: PORT, ISSUER, CLIENT_ID, CLIENT_SECRET.

// place returns an address for an application, and its URL.
func (s *stranger) place() (address, app string) {
	s.Helper()
	address = freeAddress(s)
	return address, "http://localhost:" + port(address)
}

// run starts an application, in an empty folder unless cmd has one.
func (s *stranger) run(cmd *exec.Cmd, address string, c credentials, env ...string) {
	s.Helper()
	if cmd.Dir == "" {
		cmd.Dir = s.TempDir()
	}
	cmd.Env = append(os.Environ(), "PORT="+port(address), "ISSUER="+s.issuer, "CLIENT_ID="+c.ID, "CLIENT_SECRET="+c.Secret)
	cmd.Env = append(cmd.Env, env...)
	startProcess(s, cmd, address)
}

// await waits until an application answers a request: the port may be that of a part
// of it which is ready before the rest.
func (s *stranger) await(address string) {
	s.Helper()
	for deadline := time.Now().Add(startTime); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get(address)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			s.Fatalf("%s does not answer: %v", address, err)
		}
	}
}

// python runs python/NAME/app.py, and returns the folder that it runs in.
func (s *stranger) python(name, address string, c credentials, env ...string) (dir string) {
	s.Helper()
	installed, python := venv(s, name)
	cmd := exec.Command(python, filepath.Join(installed, "app.py"))
	cmd.Dir = s.TempDir()
	s.run(cmd, address, c, env...)
	return cmd.Dir
}

// node runs node/NAME/app.js.
func (s *stranger) node(name, address string, c credentials) {
	s.Helper()
	s.run(exec.Command("node", filepath.Join(npm(s, name), "app.js")), address, c)
}

// read gets an address of an API with a bearer token.
func (s *stranger) read(address, token string) string {
	s.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.Fatal(err)
	}
	return string(body)
}

// pythonVersion is the version of a package that python/NAME/requirements.txt pins.
func pythonVersion(t testing.TB, name, distribution string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("python", name, "requirements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if pinned, version, _ := strings.Cut(strings.TrimSpace(line), "=="); strings.EqualFold(pinned, distribution) {
			return version
		}
	}
	t.Fatalf("python/%s pins no %s", name, distribution)
	return ""
}

// nodeVersion is the version of a package that node/NAME/package.json pins.
func nodeVersion(t testing.TB, name, dependency string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("node", name, "package.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct{ Dependencies map[string]string }
	if err := json.Unmarshal(b, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Dependencies[dependency] == "" {
		t.Fatalf("node/%s depends on no %s", name, dependency)
	}
	return manifest.Dependencies[dependency]
}
