package main

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/html"
)

const (
	// scriptIssuer is the issuer in all scripts. A proxy leads there, to the server of one
	// script each.
	scriptIssuer = "https://id.test"
	// keeper is the administrator in all scripts.
	keeper         = "keeper"
	keeperPassword = "a good one for the keeper of scripts"
)

// installation is what scripts begin with: a database that a server has used, its master
// key, and an administrator who has signed in with `ingam login`. It is made once, and each
// script gets a copy.
type installation struct {
	// command is the binary, and sending a folder with one of the same name that adds
	// --server to the commands that take it, if INGAM_TEST_SERVER is set.
	command, sending string
	// folder has the database, the master key and the tokens.
	folder string
	// events are the ids of what is in its audit log, and actor who the administrator is there.
	events map[any]bool
	actor  string
	// front is what the server is known by.
	front tls.Certificate
	trust *x509.CertPool
}

// The files of an installation.
const (
	databaseFile  = "ingam.db"
	masterKeyFile = "master.key"
	frontFile     = "front.pem"
	tokensFile    = "config/ingam/login.json"
)

// newInstallation makes an installation with the commands that an operator uses.
func newInstallation(t *testing.T) *installation {
	t.Helper()
	plain, err := exec.LookPath("ingam")
	if err != nil {
		t.Fatal(err)
	}
	i := &installation{command: cmp.Or(os.Getenv("INGAM_TEST_COMMAND"), plain), sending: t.TempDir(), folder: t.TempDir()}
	i.writeSending(t)
	i.makeFront(t)
	environ := append(i.environ(i.folder), "HOME="+i.folder, "GORACE="+os.Getenv("GORACE"))
	must := func(stdin string, args ...string) []byte {
		t.Helper()
		out, err := i.run(environ, stdin, args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("", "master-key", "new", "--out", filepath.Join(i.folder, masterKeyFile))
	must("", "migrate", "up")
	must(keeperPassword+"\n", "admin", "bootstrap", "--username", keeper, "--password-stdin")
	s, err := i.serve(environ)
	if err != nil {
		t.Fatal(err)
	}
	err = s.login(environ)
	for err == nil { // the keys of the audit are made with its first head
		if _, err := i.run(environ, "", "audit", "head"); err == nil || t.Context().Err() != nil {
			break
		}
	}
	if err := errors.Join(err, s.stop()); err != nil {
		t.Fatalf("%v\n%s", err, s.log.String())
	}
	var user struct{ ID string }
	if err := json.Unmarshal(must("", "user", "show", keeper, "--json"), &user); err != nil {
		t.Fatal(err)
	}
	i.actor = "user:" + user.ID
	if i.events, err = i.eventsOf(environ); err != nil {
		t.Fatal(err)
	}
	return i
}

// run runs a command where the database is at hand.
func (i *installation) run(environ []string, stdin string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(i.command, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environ, strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("ingam %q: %w: %s", args, err, stderr.String())
	}
	return stdout.Bytes(), nil
}

// eventsOf returns the ids of the events of an audit log.
func (i *installation) eventsOf(environ []string) (map[any]bool, error) {
	out, err := i.run(environ, "", "audit", "list", "--json")
	if err != nil {
		return nil, err
	}
	var events []struct{ ID any }
	ids := map[any]bool{}
	err = json.Unmarshal(out, &events)
	for _, e := range events {
		ids[e.ID] = true
	}
	return ids, err
}

// environ is the settings of a copy of the installation.
func (i *installation) environ(folder string) []string {
	return []string{
		"INGAM_ISSUER=" + scriptIssuer,
		"INGAM_DATABASE=sqlite:" + filepath.Join(folder, databaseFile),
		"INGAM_MASTER_KEY_FILE=" + filepath.Join(folder, masterKeyFile),
		"INGAM_CHANGES_STALENESS=100ms", // commands wait for it
		"XDG_CONFIG_HOME=" + filepath.Join(folder, "config"),
		"SSL_CERT_FILE=" + filepath.Join(i.folder, frontFile),
		"SSL_CERT_DIR=" + i.folder, // else all that this machine trusts is read as well
	}
}

// sentCommands are the names of the commands that take --server.
func sentCommands() []string {
	var names []string
	for _, c := range commands(&terminal{}).Commands() {
		if c.PersistentFlags().Lookup("server") != nil {
			names = append(names, c.Name())
		}
	}
	return names
}

func (i *installation) writeSending(t *testing.T) {
	t.Helper()
	program := fmt.Sprintf("#!/bin/sh\ncase \"$INGAM_TEST_SERVER $1\" in\n%s) exec '%s' \"$@\" --server \"$INGAM_TEST_SERVER\" ;;\nesac\nexec '%[2]s' \"$@\"\n",
		`https:*\ `+strings.Join(sentCommands(), `|https:*\ `), i.command)
	if err := os.WriteFile(filepath.Join(i.sending, "ingam"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
}

// makeFront makes the certificate of the issuer, and the file with which commands trust it.
func (i *installation) makeFront(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	host := strings.TrimPrefix(scriptIssuer, "https://")
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(filepath.Join(i.folder, frontFile), encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	i.front, i.trust = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, x509.NewCertPool()
	i.trust.AppendCertsFromPEM(encoded)
}

// copyTo copies what the installation has.
func (i *installation) copyTo(folder string) error {
	for _, name := range []string{databaseFile, masterKeyFile, tokensFile} {
		b, err := os.ReadFile(filepath.Join(i.folder, name))
		to := filepath.Join(folder, name)
		if err = errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o700)); err != nil {
			return err
		}
		if err := os.WriteFile(to, b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// served is a server process of an installation.
type served struct {
	i     *installation
	cmd   *exec.Cmd
	log   lockedBuffer
	ended chan struct{}
	// behind has TLS, as in front of a server in production, and proxy leads there whoever
	// asks for the issuer.
	behind, proxy *httptest.Server
}

// serve starts a server with the settings in environ, and returns when it listens.
func (i *installation) serve(environ []string) (*served, error) {
	s := &served{i: i, cmd: exec.Command(i.command, "serve"), ended: make(chan struct{})}
	s.cmd.Env = append(slices.Clone(environ), "INGAM_LISTEN=127.0.0.1:0", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
	stderr, err := s.cmd.StderrPipe()
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, err
	}
	listening := make(chan string, 1)
	go func() {
		defer close(s.ended)
		defer close(listening)
		lines := bufio.NewScanner(io.TeeReader(stderr, &s.log))
		for lines.Scan() {
			var line struct{ Msg, Address string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "listening" {
				listening <- line.Address
			}
		}
		io.Copy(&s.log, stderr)
	}()
	address, ok := <-listening
	if !ok {
		return nil, errors.Join(fmt.Errorf("the server does not listen:\n%s", s.log.String()), s.cmd.Wait())
	}
	s.open(&url.URL{Scheme: "http", Host: address})
	return s, nil
}

func (s *served) open(to *url.URL) {
	s.behind = httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(to)
		r.SetXForwarded()
		r.Out.Host = r.In.Host
	}})
	s.behind.TLS = &tls.Config{Certificates: []tls.Certificate{s.i.front}}
	s.behind.StartTLS()
	s.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != strings.TrimPrefix(scriptIssuer, "https://")+":443" {
			http.Error(w, "there is only the issuer", http.StatusBadGateway)
			return
		}
		from, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer from.Close()
		to, err := net.Dial("tcp", s.behind.Listener.Addr().String())
		if err != nil {
			return
		}
		defer to.Close()
		io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			io.Copy(to, from)
			to.(*net.TCPConn).CloseWrite()
		}()
		io.Copy(from, to)
	}))
}

// stop stops the server as a supervisor does. It fails if the server did not end well.
func (s *served) stop() error {
	err := s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.ended
	err = errors.Join(err, s.cmd.Wait())
	s.proxy.Close()
	s.behind.Close()
	return err
}

// login runs `ingam login`, and signs the administrator in as a person does in a browser.
func (s *served) login(environ []string) error {
	cmd := exec.Command(s.i.command, "login", "--server", scriptIssuer, "--browser=false")
	cmd.Env = append(slices.Clone(environ), "HTTPS_PROXY="+s.proxy.URL)
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return err
	}
	lines := bufio.NewReader(stderr)
	_, err1 := lines.ReadString('\n')
	address, err2 := lines.ReadString('\n')
	if err = errors.Join(err1, err2); err == nil {
		err = s.allow(strings.TrimSpace(address))
	}
	if err != nil {
		cmd.Process.Kill()
	}
	rest, _ := io.ReadAll(lines)
	if ended := cmd.Wait(); ended != nil {
		return errors.Join(err, fmt.Errorf("ingam login: %w: %s", ended, rest))
	}
	return nil
}

// allow signs in at the page behind an address, allows what is asked there, and follows
// to where that leads.
func (s *served) allow(address string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	proxy, err := url.Parse(s.proxy.URL)
	if err != nil {
		return err
	}
	wires := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.i.trust}, Proxy: func(r *http.Request) (*url.URL, error) {
		if r.URL.Scheme == "https" {
			return proxy, nil
		}
		return nil, nil
	}}
	defer wires.CloseIdleConnections()
	browser := &http.Client{Jar: jar, Transport: wires}
	page, err := browser.Get(address)
	for _, filled := range []url.Values{{"username": {keeper}, "password": {keeperPassword}}, {"decision": {"allow"}}} {
		if err != nil {
			return err
		}
		to, form, err2 := formOf(page)
		if err2 != nil {
			return err2
		}
		for name, value := range filled {
			form[name] = value
		}
		r, err2 := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode()))
		if err2 != nil {
			return err2
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		page, err = browser.Do(r)
	}
	if err != nil {
		return err
	}
	defer page.Body.Close()
	if b, _ := io.ReadAll(page.Body); !bytes.Contains(b, []byte("close this window")) {
		return fmt.Errorf("%s answers %s: %s", page.Request.URL, page.Status, b)
	}
	return nil
}

// formOf returns where the last form of a page goes, and what its fields have.
func formOf(page *http.Response) (to string, fields url.Values, err error) {
	defer page.Body.Close()
	doc, err := html.Parse(page.Body)
	if err != nil {
		return "", nil, err
	}
	for n := range doc.Descendants() {
		has := map[string]string{}
		for _, a := range n.Attr {
			has[a.Key] = a.Val
		}
		switch {
		case n.Type != html.ElementNode:
		case n.Data == "form":
			to, fields = has["action"], url.Values{}
		case n.Data == "input" && fields != nil && has["name"] != "":
			fields.Add(has["name"], has["value"])
		}
	}
	at, err := page.Request.URL.Parse(to)
	if err == nil && fields == nil {
		err = fmt.Errorf("%s answers %s without a form", page.Request.URL, page.Status)
	}
	return at.String(), fields, err
}

// lockedBuffer is a buffer that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
