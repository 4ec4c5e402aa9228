//go:build !quick

package strangers

import (
	"encoding/base64"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
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

// TestDocumentedSpringReadsEncryptedTokens runs the documented API with tokens that are
// encrypted to each kind of key, and with some that anybody could have made.
func TestDocumentedSpringReadsEncryptedTokens(t *testing.T) {
	need(t, "node", "mvn")
	examples, _ := readExamples(t, apisDoc)
	for algorithm, otherKey := range map[jose.KeyAlgorithm]*strings.Replacer{
		jose.ECDH_ES: strings.NewReplacer(),
		// As the text says.
		jose.RSA_OAEP_256: strings.NewReplacer("ECKey", "RSAKey", "ECDHDecrypter", "RSADecrypter", "ECDH_ES", "RSA_OAEP_256",
			`"ec", { namedCurve: "P-256" }`, `"rsa", { modulusLength: 2048 }`),
	} {
		t.Run(string(algorithm), func(t *testing.T) {
			t.Parallel()
			p := startProviderAtLocalhost(t)
			p.createAPI(t)
			ask := p.clientTokens(t)
			plain := ask()
			shell(t, otherKey.Replace(examples["encrypted"]["key"])+examples["encrypted"]["update"], p.dir, p.env)
			token := ask()
			for deadline := time.Now().Add(time.Minute); strings.Count(token, ".") != 4; token = ask() {
				if time.Now().After(deadline) {
					t.Fatal("the server does not encrypt")
				}
				time.Sleep(staleness)
			}

			orders := encryptedSpring(t, p, examples, otherKey)
			forge := forger(t, filepath.Join(p.dir, "orders.jwk"), algorithm)
			claims, err := base64.RawURLEncoding.DecodeString(strings.Split(plain, ".")[1])
			if err != nil {
				t.Fatal(err)
			}
			jti := regexp.MustCompile(`"jti":"(\w+)"`).FindStringSubmatch(string(claims))[1]
			unsigned := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + strings.Split(plain, ".")[1] + "."
			for _, c := range []struct {
				name, token string
				status      int
			}{
				{"the server's", token, http.StatusOK},
				// The others fail for what they are said to have, and for nothing else.
				{"a good one from elsewhere", forge(plain, jti, "JWT", jose.A256GCM, jose.NONE), http.StatusOK},
				{"not encrypted", plain, http.StatusUnauthorized},
				{"another tag", token[:len(token)-4] + "AAAA", http.StatusUnauthorized},
				{"another header", forge(plain, "of another", "JWT", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"no jti", forge(plain, "", "JWT", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"another cty", forge(plain, jti, "at+jwt", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"claims alone", forge(string(claims), jti, "", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"claims alone, said to be a JWT", forge(string(claims), jti, "JWT", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"not signed", forge(unsigned, jti, "JWT", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"encrypted twice", forge(token, jti, "JWT", jose.A256GCM, jose.NONE), http.StatusUnauthorized},
				{"another enc", forge(plain, jti, "JWT", jose.A128GCM, jose.NONE), http.StatusUnauthorized},
				{"compressed", forge(plain, jti, "JWT", jose.A256GCM, jose.DEFLATE), http.StatusUnauthorized},
			} {
				if status, said := orders.call(c.token); status != c.status {
					t.Errorf("%s: %d %s", c.name, status, said)
				}
			}
		})
	}
}

// encryptedSpring starts the documented API, with the key that is where Ingam is.
func encryptedSpring(t *testing.T, p *provider, examples map[string]example, otherKey *strings.Replacer) api {
	t.Helper()
	address := freeAddress(t)
	e, dir := example{}, t.TempDir()
	for _, name := range []string{"spring-ask", "spring-jwt", "spring-encrypted"} {
		maps.Copy(e, examples[name])
	}
	own := ownPort.FindStringSubmatch(e["src/main/resources/application.yml"])[1]
	at := strings.NewReplacer("localhost:8080", strings.TrimPrefix(p.issuer, "http://"), own, port(address))
	for name, content := range e {
		e[name] = at.Replace(otherKey.Replace(content))
	}
	e.write(t, dir)
	if err := os.Rename(filepath.Join(p.dir, "orders.private.jwk"), filepath.Join(dir, "orders.private.jwk")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-ec", e["start"])
	cmd.Dir = dir
	startProcess(t, cmd, address)
	return api{&stranger{T: t, provider: p, row: &row{}}, "http://" + address + "/orders"}
}

// forger encrypts to the key in a file, as anybody can.
func forger(t *testing.T, file string, algorithm jose.KeyAlgorithm) func(text, jti, cty string, enc jose.ContentEncryption, zip jose.CompressionAlgorithm) string {
	t.Helper()
	var key jose.JSONWebKey
	b, err := os.ReadFile(file)
	if err == nil {
		err = key.UnmarshalJSON(b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(text, jti, cty string, enc jose.ContentEncryption, zip jose.CompressionAlgorithm) string {
		t.Helper()
		o := &jose.EncrypterOptions{Compression: zip}
		for name, value := range map[jose.HeaderKey]string{"jti": jti, "cty": cty} {
			if value != "" {
				o.WithHeader(name, value)
			}
		}
		encrypter, err := jose.NewEncrypter(enc, jose.Recipient{Algorithm: algorithm, Key: key}, o)
		if err != nil {
			t.Fatal(err)
		}
		jwe, err := encrypter.Encrypt([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		token, err := jwe.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
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
