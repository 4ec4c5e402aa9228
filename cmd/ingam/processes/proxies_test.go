package processes

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// proxied is a proxy of docs/proxies.md. To its printed configuration a test adds what it
// needs to run the proxy here. AT stands for the proxy's address, INGAM for the server's,
// and DIR for a folder.
type proxied struct {
	language string
	// For an issuer with a path, the lines from below to until are replaced by the
	// second block of the document.
	below, until string
	// here has texts of the printed configuration, each followed by its replacement.
	here []string
	// before and after are put around the printed block.
	before, after string
	command       []string
}

var proxies = map[string]proxied{
	"nginx": {
		language: "nginx", below: "    location / {\n", until: "    }\n",
		here: []string{"listen 443 ssl", "listen AT ssl", "server 127.0.0.1:8080", "server INGAM", "/etc/ssl/", "DIR/", "/var/log/nginx/", "DIR/"},
		before: "daemon off;\nmaster_process off;\npid DIR/pid;\nerror_log stderr;\nevents {}\nhttp {\naccess_log off;\n" +
			"client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi; uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;\n",
		after:   "}\n",
		command: []string{"nginx", "-p", "DIR", "-e", "stderr", "-c", "FILE"},
	},
	"Caddy": {
		language: "caddyfile", below: "\trespond ", until: "\t}\n",
		here:    []string{"id.example.com {", "https://id.example.com:PORT {", "127.0.0.1:8080", "INGAM", "/etc/ssl/", "DIR/"},
		before:  "{\nadmin off\nauto_https disable_redirects\ndefault_bind 127.0.0.1\n}\n",
		command: []string{"caddy", "run", "--adapter", "caddyfile", "--config", "FILE"},
	},
}

// configuration assembles the configuration of the proxy.
func (p proxied) configuration(t *testing.T, document string, path bool) string {
	t.Helper()
	var blocks []string
	for i, part := range strings.Split(document, "```") {
		if text, ok := strings.CutPrefix(part, p.language+"\n"); ok && i%2 == 1 {
			blocks = append(blocks, text)
		}
	}
	if len(blocks) != 2 {
		t.Fatalf("there are %d blocks of %s", len(blocks), p.language)
	}
	block := blocks[0]
	if path {
		before, rest, found := strings.Cut(block, p.below)
		_, after, ends := strings.Cut(rest, "\n"+p.until)
		if !found || !ends {
			t.Fatalf("%q does not stand in\n%s", p.below, block)
		}
		block = before + blocks[1] + after
	}
	for i := 0; i < len(p.here); i += 2 {
		if !strings.Contains(block, p.here[i]) {
			t.Errorf("%q does not stand in\n%s", p.here[i], block)
		}
		block = strings.ReplaceAll(block, p.here[i], p.here[i+1])
	}
	return p.before + block + p.after
}

// start runs the proxy in front of a server, and returns its address.
func (p proxied) start(t *testing.T, s *server, path bool) (at string, roots *x509.CertPool) {
	t.Helper()
	binary, err := exec.LookPath(p.command[0])
	if err != nil {
		binary, err = exec.LookPath("/usr/sbin/" + p.command[0])
	}
	if err != nil {
		t.Skipf("install %s to run this", p.command[0])
	}
	dir := t.TempDir()
	roots = certificate(t, filepath.Join(dir, "id.example.com"))
	at = freeAddress(t)
	_, port, _ := net.SplitHostPort(at)
	file := filepath.Join(dir, "configuration")
	fill := strings.NewReplacer("AT", at, "PORT", port, "INGAM", strings.TrimPrefix(s.url, "http://"), "DIR", dir, "FILE", file)
	if err := os.WriteFile(file, []byte(fill.Replace(p.configuration(t, read(t, "docs/proxies.md"), path))), 0o600); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range p.command[1:] {
		args = append(args, fill.Replace(arg))
	}
	cmd := exec.Command(binary, args...)
	said := &logBuffer{}
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		if t.Failed() {
			t.Logf("%s said:\n%s", p.command[0], said)
		}
	})
	eventually(t, "the proxy listens", time.Minute, func() bool {
		select {
		case <-ended:
			t.Fatal("the proxy ended")
		default:
		}
		conn, err := net.Dial("tcp", at)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return at, roots
}

// certificate writes a certificate for id.example.com with its key, and returns a pool
// that trusts it.
func certificate(t *testing.T, name string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"id.example.com"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name+file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(made)
	return roots
}

// foreign adds to each request the headers that a browser sends, and a forged address of
// the client.
type foreign struct {
	http.RoundTripper
	origin string
}

func (f foreign) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("Forwarded", "for=203.0.113.9")
	if r.Method == http.MethodPost {
		r.Header.Set("Origin", f.origin)
		r.Header.Del("Sec-Fetch-Site") // as in browsers before 2023
	}
	return f.RoundTripper.RoundTrip(r)
}

func TestProxiesAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	for name, proxy := range proxies {
		for _, below := range []struct{ origin, path string }{{"https://id.example.com", ""}, {"https://id.example.com:8443", "/auth"}} {
			t.Run(name+" and the issuer "+below.origin+below.path, func(t *testing.T) {
				t.Parallel()
				d := newDeployment(t).oneAtATime()
				address := freeAddress(t)
				d.issuer = below.origin + below.path
				s := d.startAt(address, "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
				at, roots := proxy.start(t, s, below.path != "")
				a := d.webClient("web")
				asker := d.client("api")
				d.user("minji")

				front := *s
				front.url = below.origin
				p := front.person()
				// The browser has another address than the proxy, so that
				// the log shows which one the server uses.
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
				p.client.Transport = foreign{&http.Transport{
					TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
					DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
						return dialer.DialContext(ctx, network, at)
					},
				}, below.origin}

				for _, length := range []int{1, 3500, 9000} {
					state := strings.Repeat("X", length) // HTTP/2 does not compress an X
					sc := p.get(below.path + a.request("state", state))
					if sc.form != nil && sc.form.Has("username") {
						sc = sc.submit("username", "minji", "password", goodPassword).follow()
					}
					if sc.form != nil && sc.form.Has("request") {
						sc = sc.submit("decision", "allow")
					}
					response := sc.response()
					if response.Get("state") != state || response.Get("iss") != d.issuer {
						t.Fatalf("with a state of %d: %d %v", length, sc.status, response)
					}
					form := url.Values{
						"grant_type": {"authorization_code"}, "code": {response.Get("code")}, "redirect_uri": {callback},
						"code_verifier": {a.verifier}, "client_id": {a.id},
					}
					if got := p.post(below.origin+below.path+"/oauth2/token", form); got.status != http.StatusOK {
						t.Errorf("a code: %d %s", got.status, got.body)
					}
				}
				for _, path := range wellKnown(below.path) {
					if got := p.get(path); got.status != http.StatusOK || got.json(t)["issuer"] != d.issuer {
						t.Errorf("%s: %d %s", path, got.status, got.body)
					}
				}
				for _, path := range []string{"/health/ready", below.path + "/health/ready"} {
					if got := p.get(path); got.header.Get("X-Request-Id") != "" {
						t.Errorf("%s passes: %d %s", path, got.status, got.body)
					}
				}
				firstEvent(t, p, below.origin+below.path, asker)

				log := s.log.String()
				if !strings.Contains(log, `"address":"127.0.0.2"`) || strings.Contains(log, "203.0.113.9") {
					t.Errorf("the log has another address: %s", s.log.tail(2<<10))
				}
			})
		}
	}
}

// wellKnown returns the paths of the metadata of an issuer with that path.
func wellKnown(path string) []string {
	return slices.Compact([]string{
		path + "/.well-known/openid-configuration", "/.well-known/openid-configuration" + path, "/.well-known/oauth-authorization-server" + path,
	})
}

// firstEvent waits for the first event of the stream.
func firstEvent(t *testing.T, p *person, issuer, secret string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/oauth2/status/events?verifier=v", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("api", secret)
	resp, err := p.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the stream: %d %q %v", resp.StatusCode, line, err)
	}
}
