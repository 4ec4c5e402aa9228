//go:build !quick

package strangers

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// secret is what an application signs its cookies with.
func secret() string { return rand.Text() + rand.Text() }

func TestAuthlib(t *testing.T) {
	s := meet(t, "Authlib, Flask", pythonVersion(t, "authlib", "Authlib"))
	address, app := s.place()
	s.python("authlib", address, s.client(app+"/auth"))
	s.knows(s.person().open(app + "/login").text())
}

func TestMozillaDjangoOIDC(t *testing.T) {
	s := meet(t, "mozilla-django-oidc", pythonVersion(t, "mozilla-django-oidc", "mozilla-django-oidc"))
	address, app := s.place()
	s.python("mozilla-django-oidc", address, s.client(app+"/oidc/callback/"))
	s.knows(s.person().open(app + "/oidc/authenticate/").text())
}

func TestFlaskAppBuilder(t *testing.T) {
	s := meet(t, "Flask-AppBuilder", pythonVersion(t, "flask-appbuilder", "flask-appbuilder"))
	address, app := s.place()
	s.python("flask-appbuilder", address, s.client(app+"/oauth-authorized/ingam"))
	p := s.person()
	p.open(app + "/login/ingam")
	user := p.open(app + "/users/userinfo/").text()
	s.knowsOf(user, fact{"name", "First Name Minji Last Name Kim"}, fact{"e-mail", personEmail})
}

func TestJupyterHub(t *testing.T) {
	s := meet(t, "JupyterHub, oauthenticator", pythonVersion(t, "jupyterhub", "jupyterhub")+", "+pythonVersion(t, "jupyterhub", "oauthenticator"))
	address, app := s.place()
	c := s.client(app + "/hub/oauth_callback")
	dir, python := venv(s, "jupyterhub")
	proxy := npm(s, "configurable-http-proxy")
	cmd := exec.Command(python, "-m", "jupyterhub", "--config", filepath.Join(dir, "jupyterhub_config.py"))
	s.run(cmd, address, c,
		"HUB_PORT="+port(freeAddress(s)), "PROXY_API_PORT="+port(freeAddress(s)),
		"PROXY="+filepath.Join(proxy, "node_modules", ".bin", "configurable-http-proxy"))
	s.await(app + "/hub/health")
	p := s.person()
	p.open(app + "/hub/oauth_login?next=/hub/home")
	s.knows(p.open(app + "/hub/api/users/" + personEmail).text())
}

func TestDjangoAllauth(t *testing.T) {
	s := meet(t, "django-allauth", pythonVersion(t, "django-allauth", "django-allauth"))
	address, app := s.place()
	s.python("django-allauth", address, s.client(app+"/accounts/oidc/ingam/login/callback/"))
	s.knows(s.person().open(app + "/accounts/oidc/ingam/login/").submit("/login/").text())
}

func TestPythonSocialAuth(t *testing.T) {
	s := meet(t, "social-auth-app-django", pythonVersion(t, "social-auth", "social-auth-app-django"))
	address, app := s.place()
	s.python("social-auth", address, s.client(app+"/complete/oidc/"))
	s.knows(s.person().open(app).submit("/login/oidc/").text())
}

func TestHTTPXOAuth(t *testing.T) {
	s := meet(t, "httpx-oauth, FastAPI", pythonVersion(t, "httpx-oauth", "httpx-oauth"))
	address, app := s.place()
	s.python("httpx-oauth", address, s.client(app+"/callback"))
	s.knows(s.person().open(app + "/login").text())
}

// TestStreamlit reads the session from the cookie that Streamlit keeps it in: its pages
// are made by a web socket.
func TestStreamlit(t *testing.T) {
	s := meet(t, "Streamlit", pythonVersion(t, "streamlit", "streamlit"))
	address, app := s.place()
	dir := s.python("streamlit", address, s.client(app+"/oauth2callback"))
	token, err := os.ReadFile(filepath.Join(dir, "provider_token"))
	if err != nil {
		s.Fatal(err)
	}
	p := s.person()
	p.open(app + "/auth/login?provider=" + string(token))
	at, _ := url.Parse(app)
	for _, c := range p.jar.Cookies(secure(at)) {
		if c.Name != "_streamlit_user" {
			continue
		}
		installed, python := venv(s, "streamlit")
		read := exec.Command(python, filepath.Join(installed, "session.py"), c.Value)
		read.Dir = dir
		session, err := read.Output()
		if err != nil {
			s.Fatalf("%v does not read its own cookie", err)
		}
		s.knows(string(session))
		return
	}
	s.Fatal("no session")
}

func TestPanel(t *testing.T) {
	s := meet(t, "Panel", pythonVersion(t, "panel", "panel"))
	address, app := s.place()
	s.python("panel", address, s.client(app))
	s.knows(s.person().open(app + "/page").text())
}

// TestPgAdmin signs in by the form that a script makes of the login page. pgAdmin keeps
// no name.
func TestPgAdmin(t *testing.T) {
	s := meet(t, "pgAdmin", pythonVersion(t, "pgadmin", "pgadmin4"))
	address, app := s.place()
	s.python("pgadmin", address, s.client(app+"/oauth2/authorize"))
	p := s.person()
	login := p.open(app + "/login")
	csrf := regexp.MustCompile(`"csrfToken": "([^"]+)"`).FindStringSubmatch(login.body)
	if csrf == nil {
		s.Fatalf("no form: %s", login.text())
	}
	p.send(login.at, form{http.MethodPost, login.at.JoinPath("../authenticate/login"), url.Values{}, nil}, "oauth2_button", "ingam", "csrf_token", csrf[1])
	s.knowsOf(p.open(app+"/user_management/current_user.js").body, fact{"e-mail", personEmail})
}

// TestSynapse takes the way of a Matrix client: the token that single sign-on ends with
// is exchanged for a session.
func TestSynapse(t *testing.T) {
	s := meetTLS(t, "Synapse", pythonVersion(t, "synapse", "matrix-synapse"))
	address, app := s.place()
	s.python("synapse", address, s.client(app+"/_synapse/client/oidc/callback"), "SSL_CERT_FILE="+s.ca)
	done := s.person().open(app + "/_matrix/client/v3/login/sso/redirect?redirectUrl=" + url.QueryEscape(app+"/"))
	token := regexp.MustCompile(`loginToken=([\w.-]+)`).FindStringSubmatch(done.body)
	if token == nil {
		s.Fatalf("no login token: %s", done.text())
	}
	var session struct {
		User  string `json:"user_id"`
		Token string `json:"access_token"`
	}
	login, err := json.Marshal(map[string]string{"type": "m.login.token", "token": token[1]})
	if err != nil {
		s.Fatal(err)
	}
	resp, err := http.Post(app+"/_matrix/client/v3/login", "application/json", bytes.NewReader(login))
	if err != nil {
		s.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&session); err != nil {
		s.Fatal(err)
	}
	s.knows(s.read(app+"/_matrix/client/v3/profile/"+session.User, session.Token) + s.read(app+"/_matrix/client/v3/account/3pid", session.Token))
}

func TestMLflow(t *testing.T) {
	s := meet(t, "mlflow-oidc-auth", pythonVersion(t, "mlflow-oidc-auth", "mlflow-oidc-auth"))
	address, app := s.place()
	s.python("mlflow-oidc-auth", address, s.client(app+"/callback"))
	p := s.person()
	p.open(app + "/login")
	s.knows(p.open(app + "/api/2.0/mlflow/users/current").text())
}
