package processes

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/MicahParks/jwkset"
	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/time/rate"
)

// These tests run clients and verifiers by other authors against the server.

func TestAnIndependentClientGetsTokens(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("app")
	post := d.client("poster", "--auth", "client_secret_post")
	for _, c := range []clientcredentials.Config{
		{ClientID: "app", ClientSecret: secret, AuthStyle: oauth2.AuthStyleInHeader},
		{ClientID: "poster", ClientSecret: post, AuthStyle: oauth2.AuthStyleInParams},
		{ClientID: "app", ClientSecret: secret, Scopes: []string{"read"}, EndpointParams: map[string][]string{"resource": {"https://api.test"}}},
	} {
		c.TokenURL = s.url + "/oauth2/token"
		token, err := c.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if token.Type() != "Bearer" || !token.Valid() || time.Until(token.Expiry) > 15*time.Minute {
			t.Errorf("token type %q, expiry %s", token.Type(), token.Expiry)
		}
	}
	wrong := clientcredentials.Config{ClientID: "app", ClientSecret: post, TokenURL: s.url + "/oauth2/token"}
	if _, err := wrong.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a wrong secret: %v", err)
	}
}

// verifier is a resource server that uses another author's library.
type verifier struct {
	name string
	// check returns the token's subject.
	check func(token string) (string, error)
}

// goVerifiers returns verifiers of tokens that are signed with an algorithm. They take the
// keys from the key set, those of HS256 are told the secret.
func goVerifiers(t *testing.T, s *server, algorithm string, shared []byte) []verifier {
	t.Helper()
	jwksURL := s.url + "/.well-known/jwks.json"
	if algorithm == "HS256" {
		return []verifier{
			golangJWT("golang-jwt", s, algorithm, func(*jwt.Token) (any, error) { return shared, nil }),
			jwx(s, func() (jwxjwt.ParseOption, error) { return jwxjwt.WithKey(jwa.HS256(), shared), nil }),
		}
	}

	storage, err := jwkset.NewStorageFromHTTP(jwksURL, jwkset.HTTPClientStorageOptions{
		Ctx: t.Context(), RefreshInterval: 200 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := jwkset.NewHTTPClient(jwkset.HTTPClientOptions{
		HTTPURLs:          map[string]jwkset.Storage{jwksURL: storage},
		RefreshUnknownKID: rate.NewLimiter(rate.Inf, 1),
	})
	if err != nil {
		t.Fatal(err)
	}
	set, err := keyfunc.New(keyfunc.Options{Ctx: t.Context(), Storage: client, UseWhitelist: []jwkset.USE{jwkset.UseSig}})
	if err != nil {
		t.Fatal(err)
	}
	return []verifier{
		golangJWT("keyfunc", s, algorithm, set.Keyfunc),
		jwx(s, func() (jwxjwt.ParseOption, error) {
			set, err := jwk.Fetch(context.Background(), jwksURL)
			return jwxjwt.WithKeySet(set), err
		}),
	}
}

func golangJWT(name string, s *server, algorithm string, keys jwt.Keyfunc) verifier {
	return verifier{name, func(token string) (string, error) {
		parsed, err := jwt.Parse(token, keys, jwt.WithValidMethods([]string{algorithm}),
			jwt.WithIssuer(s.d.issuer), jwt.WithAudience("https://api.test"), jwt.WithExpirationRequired())
		if err != nil {
			return "", err
		}
		if parsed.Header["typ"] != "at+jwt" {
			return "", fmt.Errorf("typ is %v", parsed.Header["typ"])
		}
		return parsed.Claims.GetSubject()
	}}
}

func jwx(s *server, keys func() (jwxjwt.ParseOption, error)) verifier {
	return verifier{"jwx", func(token string) (string, error) {
		with, err := keys()
		if err != nil {
			return "", err
		}
		parsed, err := jwxjwt.Parse([]byte(token), with, jwxjwt.WithIssuer(s.d.issuer), jwxjwt.WithAudience("https://api.test"))
		if err != nil {
			return "", err
		}
		subject, _ := parsed.Subject()
		return subject, nil
	}}
}

// node runs a script of testdata/node as a process, which answers each line with one
// line. It needs the named npm package.
func node(t *testing.T, dependency, script string, args ...string) (ask func(line string) (string, error)) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("Node is not installed: install it, and run npm ci in cmd/ingam/testdata/node")
	}
	folder, err := filepath.Abs("../testdata/node")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", dependency)); err != nil {
		t.Skipf("npm's %s is not installed: run npm ci in cmd/ingam/testdata/node", dependency)
	}
	cmd := exec.Command(node, append([]string{filepath.Join(folder, script)}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	lines := bufio.NewReader(out)
	return func(line string) (string, error) {
		if _, err := io.WriteString(in, line+"\n"); err != nil {
			return "", err
		}
		answer, err := lines.ReadString('\n')
		return strings.TrimSpace(answer), err
	}
}

// nodeVerifier returns a verifier that uses jose: its createRemoteJWKSet, or the secret.
func nodeVerifier(t *testing.T, s *server, algorithm string, shared []byte) verifier {
	t.Helper()
	keys := s.url + "/.well-known/jwks.json"
	if algorithm == "HS256" {
		keys = base64.RawURLEncoding.EncodeToString(shared)
	}
	ask := node(t, "jose", "verify.mjs", keys, s.d.issuer, "https://api.test", algorithm)
	return verifier{"jose", func(token string) (string, error) {
		answer, err := ask(token)
		if err != nil {
			return "", err
		}
		verdict, what, _ := strings.Cut(answer, " ")
		if verdict != "ok" {
			return "", fmt.Errorf("jose: %s", what)
		}
		return what, nil
	}}
}

func TestIndependentVerifiersAcceptTokensAcrossRotationAndRefuseThemAfterWithdrawal(t *testing.T) {
	t.Parallel()
	run := func(t *testing.T, verifiers func(*testing.T, *server) []verifier) {
		d := newDeployment(t).oneAtATime()
		s := d.start()
		secret := d.client("app")
		all := verifiers(t, s)
		accept := func(what, token string) {
			t.Helper()
			for _, v := range all {
				subject, err := v.check(token)
				if err != nil || subject != "app" {
					t.Errorf("%s: %s: subject %q, %v", v.name, what, subject, err)
				}
			}
		}
		refuse := func(what, token string) {
			t.Helper()
			for _, v := range all {
				if subject, err := v.check(token); err == nil {
					t.Errorf("%s accepted %s (of %q)", v.name, what, subject)
				}
			}
		}

		before := s.token("app", secret)
		accept("a token before rotation", before)
		old := signingKey(t, d)
		d.must("key", "rotate", "--now", "--force", "--reason", "test")
		var after string
		eventually(t, "the server signs with the next key", time.Minute, func() bool {
			after = s.token("app", secret)
			return kidOf(t, after) != old
		})
		accept("a token after rotation", after)
		accept("a token from before rotation, afterwards", before)

		d.must("key", "withdraw", old, "--reason", "test")
		eventually(t, "the withdrawn key is out of the key set", time.Minute, func() bool {
			return !strings.Contains(s.get("/.well-known/jwks.json").body, old)
		})
		// A verifier accepts a withdrawn key until it fetches the key set again.
		// These keep a key set for a second at most.
		for _, v := range all {
			eventually(t, v.name+" refuses a token of the withdrawn key", time.Minute, func() bool {
				_, err := v.check(before)
				return err != nil
			})
		}
		accept("a token of the key that stands", after)
		refuse("a token with its payload changed", tamper(after))
	}
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		run(t, func(t *testing.T, s *server) []verifier { return goVerifiers(t, s, "RS256", nil) })
	})
	t.Run("Node", func(t *testing.T) {
		t.Parallel()
		run(t, func(t *testing.T, s *server) []verifier { return []verifier{nodeVerifier(t, s, "RS256", nil)} })
	})
}

func TestAnIndependentReaderSeesWhatWasRevoked(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	ask := node(t, "@sd-jwt/jwt-status-list", "status.mjs", s.url, d.issuer)
	secret := d.client("app")
	// Tokens are issued until two share a byte of the list, so that a wrong order of
	// bits would be noticed.
	var tokens []string
	shared := -1
	for at := map[string]int{}; shared < 0; {
		if len(tokens) == 1000 {
			t.Fatal("no two of a thousand tokens share a byte")
		}
		token := s.token("app", secret)
		path, index := statusOf(t, token)
		place := fmt.Sprint(path, " ", index/8)
		if first, is := at[place]; is {
			shared = first
		}
		at[place] = len(tokens)
		tokens = append(tokens, token)
	}
	status := func(token string) string {
		t.Helper()
		answer, err := ask(token)
		if err != nil {
			t.Fatal(err)
		}
		n, is := strings.CutPrefix(answer, "status ")
		if !is {
			t.Fatal(answer)
		}
		return n
	}
	revoked, neighbour := tokens[shared], tokens[len(tokens)-1]
	if a, b := status(revoked), status(neighbour); a != "0" || b != "0" {
		t.Errorf("before, the one has the status %s and the other %s", a, b)
	}
	if e := d.command(revoked, nil, "revoke", "--token-stdin"); e.status != done {
		t.Fatal(e.stderr)
	}
	eventually(t, "the reader sees that the token was revoked", 10*time.Second, func() bool { return status(revoked) == "1" })
	if n := status(neighbour); n != "0" {
		t.Errorf("the status of its neighbour is %s", n)
	}
}
