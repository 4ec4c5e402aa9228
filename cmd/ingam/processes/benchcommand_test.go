package processes

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// benchJSON is what ingam bench tells of a case.
type benchJSON struct {
	Case        string   `json:"case"`
	Requests    int      `json:"requests"`
	CPU         *float64 `json:"cpu_us"`
	S           float64  `json:"s_us"`
	Rate        float64  `json:"requests_per_second"`
	P99         float64  `json:"p99_ms"`
	Allocations *float64 `json:"allocations"`
	Rows        *int     `json:"rows_added"`
	Bytes       *int     `json:"bytes_added"`
}

func TestBenchMeasuresOnEveryEngineAndOnNewDatabasesOnly(t *testing.T) {
	t.Parallel()
	onEachEmptyEngine(t, func(t *testing.T, d *deployment) {
		// Tables of another program are left alone.
		storagetest.Exec(t, d.database, "CREATE TABLE orders (id int)")
		if e := d.program("", nil, "bench", "--database", d.database, "--only", "jwks", "--requests", "1"); e.status != 1 || !strings.Contains(e.stderr, "in use") {
			t.Errorf("with tables of others: status %d, %s", e.status, e.stderr)
		}
		storagetest.Exec(t, d.database, "DROP TABLE orders")
		args := []string{"bench", "--database", d.database, "--json", "--only", "code,refresh,introspection", "--requests", "2", "--connections", "2", "--grants", "5"}
		e := d.program("", nil, args...)
		if e.status != 0 {
			t.Fatal(e.stderr)
		}
		var all []benchJSON
		mustUnmarshal(t, e.stdout, &all)
		for i, want := range []struct {
			name string
			rows int
		}{{"code", 4}, {"refresh", 0}, {"introspection", 0}} {
			// Every few seconds a server writes to see whether it can: the first time, that
			// adds a row.
			if r := all[i]; r.Case != want.name || r.Requests != 2 || r.Rows == nil || *r.Rows < want.rows || *r.Rows > want.rows+1 || r.Bytes == nil || r.Allocations == nil {
				t.Errorf("%s: %s", want.name, e.stdout)
			}
		}
		if e := d.program("", nil, args...); e.status != 1 || !strings.Contains(e.stderr, "in use") {
			t.Errorf("once more: status %d, %s", e.status, e.stderr)
		}
	})
}

func TestBenchMeasuresARunningServerByWhatItsClientMayDo(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start()
	secret := d.client("app")
	bench := func(file string, more ...string) ended {
		t.Helper()
		return d.command("", nil, append([]string{"bench", "--url", s.url, "--client", "app", "--secret-file", file, "--requests", "2", "--connections", "2", "--json"}, more...)...)
	}
	measured := func(e ended) (all []benchJSON, names []string) {
		t.Helper()
		if e.status != 0 {
			t.Fatal(e.stderr)
		}
		mustUnmarshal(t, e.stdout, &all)
		for _, r := range all {
			names = append(names, r.Case)
			if r.Requests != 2 || r.S <= 0 || r.Allocations != nil || r.Rows != nil || r.Bytes != nil {
				t.Errorf("%+v", r)
			}
		}
		return all, names
	}
	good := secretIn(t, d, secret)
	all, names := measured(bench(good))
	if want := []string{"token", "introspection", "introspection-first", "jwks", "jwks-304", "discovery", "status-list"}; !slices.Equal(names, want) {
		t.Errorf("it measured %q", names)
	}
	if all[0].CPU != nil {
		t.Error("it invents CPU time")
	}
	if runtime.GOOS == "linux" {
		if all, _ := measured(bench(good, "--pid", fmt.Sprint(s.cmd.Process.Pid), "--only", "token")); len(all) != 1 || all[0].CPU == nil || *all[0].CPU <= 0 {
			t.Errorf("%+v", all)
		}
	}
	if e := bench(good, "--only", "code"); e.status != 1 || !strings.Contains(e.stderr, "code") {
		t.Errorf("status %d, %s", e.status, e.stderr)
	}
	e := bench(secretIn(t, d, "wrong"+secret))
	if e.status != 1 || e.stdout != "" || !strings.Contains(e.stderr, "status 401 and the error invalid_client") || strings.Contains(e.stderr, secret) {
		t.Errorf("a wrong secret: status %d, %s", e.status, e.stderr)
	}
}

func secretIn(t *testing.T, d *deployment, secret string) (path string) {
	t.Helper()
	f, err := os.CreateTemp(d.dir, "secret")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.WriteString(f, secret+"\n"); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// TestBenchSendsASecretNowhereElse: neither to where the metadata point, nor to where a
// server redirects.
func TestBenchSendsASecretNowhereElse(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s is asked for elsewhere", r.URL) }))
	defer elsewhere.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("abcdefghijklmnopqrstuvwxyz0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]func(w http.ResponseWriter, r *http.Request){
		"the token endpoint": func(w http.ResponseWriter, r *http.Request) {
			json.NewEncoder(w).Encode(map[string]string{"issuer": "http://" + r.Host, "token_endpoint": elsewhere.URL + "/token", "jwks_uri": "http://" + r.Host + "/keys"})
		},
		"the metadata": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"the tokens": func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
				return
			}
			json.NewEncoder(w).Encode(map[string]string{"issuer": "http://" + r.Host, "token_endpoint": "http://" + r.Host + "/token", "jwks_uri": "http://" + r.Host + "/keys"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(answer))
			defer s.Close()
			bare := &deployment{t: t}
			if e := bare.bare(nil, "bench", "--url", s.URL, "--client", "app", "--secret-file", file, "--requests", "1"); e.status != 1 {
				t.Errorf("status %d, %s", e.status, e.stderr)
			}
		})
	}
}
