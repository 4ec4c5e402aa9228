//go:build !quick

package strangers

import (
	"crypto/rand"
	"os/exec"
	"path/filepath"
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
	s.knows(p.open(app + "/users/userinfo/").text())
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
	s.python("django-allauth", address, s.client(app+"/accounts/oidc/ingam/login/callback/", "--pkce=optional"))
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
	s.python("httpx-oauth", address, s.client(app+"/callback", "--pkce=optional"))
	s.knows(s.person().open(app + "/login").text())
}
