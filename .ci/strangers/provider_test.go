package strangers

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// The one person whom the provider knows.
const (
	personUsername = "minji"
	personPassword = "correct horse battery staple"
	personName     = "Kim Minji"
	personEmail    = "minji@example.com"
	personRole     = "admin"
	// Some applications keep the name in two parts, and some let in a group alone.
	personClaims = `{"name": "Kim Minji", "given_name": "Minji", "family_name": "Kim", "groups": ["mlflow"]}`
)

// provider is a running Ingam, on a database of its own, with one person.
type provider struct {
	issuer string
	// ca is a PEM file with the authority of the issuer's certificate; empty without TLS.
	ca  string
	tls *http.Transport
	dir string
	env []string
	// log is what the server writes.
	log *tail
	// personID is the sub of the person.
	personID string
	// refused is the error with which it last sent the person to the application.
	refused string
	// advised is the command of ingam that the first such error named, and was run.
	advised string
	// advice is told the flags of that command.
	advice func(flags string)
}

// update finds the command that an error names: (ingam client update ID --flag value).
var update = regexp.MustCompile(`\(ingam (client update \S+ ([^()]+))\)`)

// heed reads an authorization response. Where it is an error that names a command, an
// administrator runs that, once, and the person may ask again.
func (p *provider) heed(t testing.TB, response url.Values) (again bool) {
	t.Helper()
	if p.refused = ""; !response.Has("error") {
		return false
	}
	p.refused = response.Get("error") + ": " + response.Get("error_description")
	m := update.FindStringSubmatch(p.refused)
	switch {
	case m == nil:
		return false
	case p.advised == "":
		p.advised = m[1]
		p.must(t, "", strings.Fields(p.advised)...)
		if p.advice != nil {
			p.advice(m[2])
		}
		// By then every server has learnt of it.
		time.Sleep(2 * staleness)
		return true
	}
	return false
}

// staleness is how long a change may take to reach the server.
const staleness = 200 * time.Millisecond

// startProvider starts one at http://127.0.0.1. Applications are at localhost, so that
// neither sees the other's cookies.
func startProvider(t *testing.T) *provider {
	t.Helper()
	address := freeAddress(t)
	p := &provider{issuer: "http://" + address, dir: t.TempDir()}
	p.start(t, address)
	return p
}

// startProviderTLS starts one at https://127.0.0.1, behind a proxy with a certificate
// that only p.ca vouches for.
func startProviderTLS(t *testing.T) *provider {
	t.Helper()
	address := freeAddress(t)
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: address})
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}})
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	p := &provider{issuer: proxy.URL, dir: t.TempDir(), tls: proxy.Client().Transport.(*http.Transport)}
	p.ca = filepath.Join(p.dir, "ca.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw})
	if err := os.WriteFile(p.ca, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	p.start(t, address)
	return p
}

// httpClient speaks to the provider as an application's server does.
func (p *provider) httpClient() *http.Client {
	if p.tls == nil {
		return http.DefaultClient
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.tls.TLSClientConfig.RootCAs}}}
}

// start starts the server, with settings beyond where it is, and makes the person.
func (p *provider) start(t *testing.T, address string, settings ...string) {
	t.Helper()
	masterKey := filepath.Join(p.dir, "master.key")
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir,
		"INGAM_ISSUER=" + p.issuer, "INGAM_LISTEN=" + address,
		"INGAM_DATABASE=sqlite:" + filepath.Join(p.dir, "ingam.db"), "INGAM_MASTER_KEY_FILE=" + masterKey,
		"INGAM_CHANGES_STALENESS=" + staleness.String(),
	}
	p.env = append(p.env, settings...)
	p.must(t, "", "master-key", "new", "--out", masterKey)
	serve := exec.Command(ingam, "serve")
	serve.Dir, serve.Env = p.dir, p.env
	p.log = startProcess(t, serve, address)
	var user struct {
		ID string `json:"id"`
	}
	out := p.must(t, personPassword+"\n", "user", "create", "--username", personUsername, "--email", personEmail, "--email-verified",
		"--role", personRole, "--claims", personClaims, "--password-stdin", "--json")
	if err := json.Unmarshal([]byte(out), &user); err != nil {
		t.Fatalf("user create: %v in %s", err, out)
	}
	p.personID = user.ID
}

// must runs a command of ingam that has to succeed, and returns what it prints.
func (p *provider) must(t testing.TB, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(ingam, args...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(stdin)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ingam %s: %v: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(out)
}

// createAPI registers an API with further flags. Its secret is empty, unless they ask for HS256.
func (p *provider) createAPI(t testing.TB, further ...string) (secret string) {
	t.Helper()
	var created struct {
		Secret string `json:"api_secret"`
	}
	out := p.must(t, "", append([]string{"api", "create", "--json", "--audience", apiAudience, "--name", "Orders", "--scope", "read"}, further...)...)
	if err := json.Unmarshal([]byte(out), &created); err != nil {
		t.Fatalf("api create: %v in %s", err, out)
	}
	return created.Secret
}

const apiAudience = "https://api.example.com"

func (p *provider) createClient(t testing.TB, name, redirect string, further ...string) credentials {
	t.Helper()
	given := func(flag string) bool {
		for _, f := range further {
			if f == flag || strings.HasPrefix(f, flag+"=") {
				return true
			}
		}
		return false
	}
	args := []string{"client", "create", "--json", "--id", "stranger", "--name", name, "--redirect-uri", redirect}
	for _, needed := range [][2]string{{"--grant", "authorization_code"}, {"--scope", "openid profile email"}, {"--auth", "client_secret_basic"}} {
		if !given(needed[0]) {
			args = append(args, needed[0], needed[1])
		}
	}
	var created struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	out := p.must(t, "", append(args, further...)...)
	if err := json.Unmarshal([]byte(out), &created); err != nil {
		t.Fatalf("client create: %v in %s", err, out)
	}
	return credentials{created.ID, created.Secret}
}

// given are the ports that freeAddress has returned.
var given sync.Map

// freeAddress returns an address of 127.0.0.1 that nothing listens on and that no other
// test is given: an application may come to it late. The ports that systems give to
// outgoing connections, and for the asking, are higher.
func freeAddress(t testing.TB) string {
	t.Helper()
	const first, last = 20_000, 30_000
	for range last - first {
		address := fmt.Sprintf("127.0.0.1:%d", first+rand.IntN(last-first))
		if _, taken := given.LoadOrStore(address, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// port is that of an address.
func port(address string) string {
	_, port, _ := net.SplitHostPort(address)
	return port
}
