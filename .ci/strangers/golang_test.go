package strangers

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/gorilla/sessions"
	capoidc "github.com/hashicorp/cap/oidc"
	"github.com/markbates/goth"
	"github.com/markbates/goth/gothic"
	"github.com/markbates/goth/providers/openidConnect"
	"golang.org/x/oauth2"
)

// Libraries in Go make their application in this process.

// moduleVersion is the version of a Go module that this package requires.
func moduleVersion(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}}", path).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", path, err)
	}
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
}

// serve runs an application in this process. Its address is known before it is made,
// because the client is registered with it.
func serve(t *testing.T) (address string, mux *http.ServeMux) {
	t.Helper()
	mux = http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return "http://localhost:" + port(server.Listener.Addr().String()), mux
}

// refuse answers like an application that cannot go on.
func refuse(w http.ResponseWriter, err error) bool {
	if err == nil {
		return false
	}
	http.Error(w, err.Error(), http.StatusInternalServerError)
	return true
}

// TestGoth is the library's own example; Gitea and Forgejo use it so, with the scopes
// that their documentation adds.
func TestGoth(t *testing.T) {
	s := meet(t, "goth", moduleVersion(t, "github.com/markbates/goth"))
	app, mux := serve(t)
	callback := app + "/auth/openid-connect/callback"
	c := s.client(callback)

	relying, err := openidConnect.New(c.ID, c.Secret, callback, s.issuer+"/.well-known/openid-configuration", "profile", "email")
	if err != nil {
		s.Fatal(err)
	}
	goth.UseProviders(relying)
	gothic.Store = sessions.NewCookieStore([]byte("a secret of the session's cookies"))
	mux.HandleFunc("GET /auth/{provider}", gothic.BeginAuthHandler)
	mux.HandleFunc("GET /auth/{provider}/callback", func(w http.ResponseWriter, r *http.Request) {
		user, err := gothic.CompleteUserAuth(w, r)
		if !refuse(w, err) {
			json.NewEncoder(w).Encode(user)
		}
	})
	s.knows(s.person().open(app + "/auth/openid-connect").body)
}

// TestCap is the code of the library's README.
func TestCap(t *testing.T) {
	s := meet(t, "hashicorp/cap", moduleVersion(t, "github.com/hashicorp/cap"))
	app, mux := serve(t)
	callback := app + "/callback"
	c := s.client(callback)

	config, err := capoidc.NewConfig(s.issuer, c.ID, capoidc.ClientSecret(c.Secret), []capoidc.Alg{capoidc.RS256}, []string{callback})
	if err != nil {
		s.Fatal(err)
	}
	relying, err := capoidc.NewProvider(config)
	if err != nil {
		s.Fatal(err)
	}
	t.Cleanup(relying.Done)
	request, err := capoidc.NewRequest(2*time.Minute, callback, capoidc.WithScopes("profile", "email"))
	if err != nil {
		s.Fatal(err)
	}
	authURL, err := relying.AuthURL(t.Context(), request)
	if err != nil {
		s.Fatal(err)
	}
	mux.HandleFunc("GET /callback", func(w http.ResponseWriter, r *http.Request) {
		token, err := relying.Exchange(r.Context(), request, r.FormValue("state"), r.FormValue("code"))
		if refuse(w, err) {
			return
		}
		var claims, info map[string]any
		if refuse(w, token.IDToken().Claims(&claims)) {
			return
		}
		if !refuse(w, relying.UserInfo(r.Context(), token.StaticTokenSource(), claims["sub"].(string), &info)) {
			json.NewEncoder(w).Encode(info)
		}
	})
	s.knows(s.person().open(authURL).body)
}

// TestGoOIDC is the example "userinfo" of go-oidc, on x/oauth2: a state, and neither
// nonce nor PKCE.
func TestGoOIDC(t *testing.T) {
	s := meet(t, "go-oidc, x/oauth2", moduleVersion(t, "github.com/coreos/go-oidc/v3"))
	app, mux := serve(t)
	callback := app + "/auth/google/callback"
	c := s.client(callback)

	relying, err := gooidc.NewProvider(t.Context(), s.issuer)
	if err != nil {
		s.Fatal(err)
	}
	config := oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, Endpoint: relying.Endpoint(), RedirectURL: callback,
		Scopes: []string{gooidc.ScopeOpenID, "profile", "email"},
	}
	mux.HandleFunc("GET /auth/google/callback", func(w http.ResponseWriter, r *http.Request) {
		token, err := config.Exchange(r.Context(), r.FormValue("code"))
		if refuse(w, err) {
			return
		}
		info, err := relying.UserInfo(r.Context(), oauth2.StaticTokenSource(token))
		if refuse(w, err) {
			return
		}
		var claims map[string]any
		if !refuse(w, info.Claims(&claims)) {
			json.NewEncoder(w).Encode(claims)
		}
	})
	s.knows(s.person().open(config.AuthCodeURL("state")).body)
}

// TestOAuth2Proxy is the real proxy before an upstream that shows the headers it gets.
func TestOAuth2Proxy(t *testing.T) {
	const version = "7.15.6"
	s := meet(t, "oauth2-proxy", version)
	upstream, mux := serve(t)
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(r.Header) })
	address := freeAddress(t)
	app := "http://localhost:" + port(address)
	callback := app + "/oauth2/callback"
	c := s.client(callback)

	proxy := exec.Command(goBinary(s, "github.com/oauth2-proxy/oauth2-proxy/v7@v"+version),
		"--provider=oidc", "--oidc-issuer-url="+s.issuer, "--client-id="+c.ID, "--client-secret="+c.Secret,
		"--redirect-url="+callback, "--email-domain=*", "--cookie-secret=0123456789abcdef", "--cookie-secure=false",
		"--http-address="+address, "--upstream="+upstream)
	proxy.Dir = t.TempDir()
	startProcess(s, proxy, address)
	pg := s.person().open(app + "/oauth2/start")
	// It has no place for a name but this one.
	s.knowsOf(pg.body, fact{"preferred_username", `"X-Forwarded-Preferred-Username":["` + personUsername}, fact{"e-mail", personEmail})
}
