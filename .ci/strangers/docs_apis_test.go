//go:build !quick

package strangers

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDocumentedAPIs runs the APIs of docs/resource-servers.md on one server, that of
// the README's first steps.
func TestDocumentedAPIs(t *testing.T) {
	t.Parallel()
	need(t, "curl", "openssl", "node", "npm", "python3", "mvn", "caddy")
	first, _ := readExamples(t, readme)
	examples, _ := readExamples(t, apisDoc)
	p := startProviderAtLocalhost(t)
	at := strings.NewReplacer("localhost:8080", strings.TrimPrefix(p.issuer, "http://"))
	for _, commands := range []string{first["readme"]["client"], examples["ask"]["register"], examples["shop"]["register"]} {
		shell(t, commands, p.dir, p.env)
	}
	if said := shell(t, at.Replace(examples["ask"]["curl"]), p.dir, p.env); !strings.Contains(said, `"active":true`) || !strings.Contains(said, `"scope":"read"`) {
		t.Errorf("introspection: %s", said)
	}
	examples["shop"].write(t, p.dir)

	// One token for each thing that can be wrong.
	person := newPlainClient(&stranger{T: t, provider: p, row: &row{application: "a person"}}, "--scope=openid read write", "--audience=https://api.example.com")
	signedIn := person.tokens("read")
	idToken, _ := signedIn.Extra("id_token").(string)
	ask := func(parameters string) string {
		t.Helper()
		return shell(t, `curl -sf -u "shop:$(cat shop.secret)" -d grant_type=client_credentials `+parameters+
			` "$INGAM_ISSUER/oauth2/token" | sed 's/.*"access_token":"\([^"]*\)".*/\1/' | tr -d '\n'`, p.dir, p.env)
	}
	cases := []struct {
		name, token string
		status      int
	}{
		{"a client's token", ask("-d scope=read -d resource=https://api.example.com"), http.StatusOK},
		{"a person's token", signedIn.AccessToken, http.StatusOK},
		{"no token", "", http.StatusUnauthorized},
		{"a token of another API", ask("-d scope=read -d resource=https://other.example.com"), http.StatusUnauthorized},
		{"an ID token", idToken, http.StatusUnauthorized},
		{"a refresh token", signedIn.RefreshToken, http.StatusUnauthorized},
	}
	read, write := cases[0].token, ask("-d scope=write -d resource=https://api.example.com")

	demo := freeAddress(t)
	startProcess(t, demoAPI(t, p, demo), demo)

	for _, api := range []struct {
		name, path string
		// other is a path that needs write, if path needs no scope.
		other string
		// tries is whether try.sh sees the revocation.
		tries   bool
		prepare func(t *testing.T, dir string)
	}{
		{name: "ask", path: "/orders", tries: true},
		{name: "verify", path: "/orders", tries: true, prepare: func(t *testing.T, dir string) {
			root, err := filepath.Abs("../../verify")
			if err != nil {
				t.Fatal(err)
			}
			// Until the module can be fetched.
			shell(t, "go mod init orders && go mod edit -require github.com/ingam/ingam/verify@v0.0.0 -replace github.com/ingam/ingam/verify="+root+
				" && go mod tidy", dir, os.Environ())
		}},
		{name: "jose", path: "/", tries: true, prepare: func(t *testing.T, dir string) {
			shell(t, `echo '{"type": "module"}' >package.json && npm install --silent jose@6.2.18`, dir, os.Environ())
		}},
		{name: "pyjwt", path: "/", tries: true, prepare: func(t *testing.T, dir string) {
			shell(t, "python3 -m venv venv && venv/bin/pip install --quiet 'pyjwt[crypto]'", dir, os.Environ())
		}},
		{name: "spring-ask", path: "/orders", tries: true},
		{name: "spring-jwt", path: "/orders", prepare: func(t *testing.T, dir string) {
			for name, content := range examples["spring-ask"] {
				if _, replaced := examples["spring-jwt"][name]; !replaced {
					example{name: content}.write(t, dir)
				}
			}
		}},
		{name: "caddy", path: "/orders", other: "/write/orders", tries: true, prepare: func(t *testing.T, dir string) {
			shell(t, `mkdir -p www/write && echo '{"orders":[]}' | tee www/orders >www/write/orders`, dir, os.Environ())
		}},
	} {
		t.Run(api.name, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			e := example{}
			var own []string
			for _, content := range examples[api.name] {
				if m := ownPort.FindStringSubmatch(content); m != nil {
					own = m
				}
			}
			if own == nil {
				t.Fatal("the example listens nowhere")
			}
			at := strings.NewReplacer("localhost:8080", strings.TrimPrefix(p.issuer, "http://"), "127.0.0.1:8081", demo, own[1], port(address))
			for name, content := range examples[api.name] {
				e[name] = at.Replace(content)
			}
			dir := t.TempDir()
			e.write(t, dir)
			if api.prepare != nil {
				api.prepare(t, dir)
			}
			start := map[string]string{"verify": "go run .", "jose": "node server.mjs", "pyjwt": "venv/bin/python server.py", "spring-jwt": "mvn -q spring-boot:run"}[api.name]
			if e["start"] != "" {
				start = e["start"]
			}
			secret, err := os.ReadFile(filepath.Join(p.dir, "orders.secret"))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "orders.secret"), secret, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("sh", "-ec", start)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "INGAM_ISSUER="+p.issuer, "ORDERS_SECRET="+strings.TrimSpace(string(secret)))
			startProcess(t, cmd, address)
			call := func(path, token string) int {
				t.Helper()
				r, err := http.NewRequest(http.MethodGet, "http://localhost:"+port(address)+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				if challenge := resp.Header.Get("WWW-Authenticate"); resp.StatusCode != http.StatusOK && !strings.HasPrefix(challenge, "Bearer") {
					t.Errorf("%d with the challenge %q", resp.StatusCode, challenge)
				}
				return resp.StatusCode
			}
			for _, c := range cases {
				if status := call(api.path, c.token); status != c.status {
					t.Errorf("%s: %d, not %d", c.name, status, c.status)
				}
			}
			path, token := api.path, write
			if api.other != "" {
				path, token = api.other, read
			}
			if status := call(path, token); status != http.StatusForbidden {
				t.Errorf("a token without the scope: %d", status)
			}
			if !api.tries {
				return
			}
			// It leaves a file in its folder.
			said := shell(t, "cd $(mktemp -d -p .) && ln -s ../bin ../shop.secret . && sh ../try.sh http://localhost:"+port(address)+api.path, p.dir, p.env)
			t.Log("\n" + said)
			for _, line := range []string{`valid\s+200`, `tampered\s+401`, `wrong audience\s+401`, `revoked\s+401 after \d+ ms`, `its neighbour\s+200`} {
				if !regexp.MustCompile(`(?m)^` + line).MatchString(said) {
					t.Errorf("%s is not in:\n%s", line, said)
				}
			}
		})
	}
}

// ownPort finds the port that an example listens on.
var ownPort = regexp.MustCompile(`(?m)(?:listen\(|Serve\("127\.0\.0\.1:|\("127\.0\.0\.1", |^server\.port: |^http://localhost:)(\d+)`)

// demoAPI is the command that starts ingam-demo-api, as the document has it.
func demoAPI(t *testing.T, p *provider, address string) *exec.Cmd {
	t.Helper()
	build := exec.Command("go", "build", "-o", filepath.Join(p.dir, "bin", "ingam-demo-api"), ".")
	build.Dir = filepath.Join("..", "..", "cmd", "ingam-demo-api")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build ingam-demo-api: %v\n%s", err, out)
	}
	cmd := exec.Command("bin/ingam-demo-api", "-listen", address, "-issuer", p.issuer, "-audience", "https://api.example.com",
		"-status", "stream", "-client-id", "orders", "-client-secret-file", "orders.secret")
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}
