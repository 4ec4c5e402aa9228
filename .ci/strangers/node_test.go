//go:build !quick

package strangers

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func TestNextAuth(t *testing.T) {
	s := meet(t, "next-auth", nodeVersion(t, "next-auth", "next-auth"))
	address, app := s.place()
	c := s.client(app + "/api/auth/callback/ingam")
	dir := npm(s, "next-auth", []string{"node_modules/.bin/next", "build"})
	cmd := exec.Command(filepath.Join(dir, "node_modules", ".bin", "next"), "start", "--hostname", "127.0.0.1", "--port", port(address))
	cmd.Dir = dir
	s.run(cmd, address, c, "NEXT_TELEMETRY_DISABLED=1", "NEXTAUTH_URL="+app, "NEXTAUTH_SECRET="+secret())
	p := s.person()
	p.open(app + "/api/auth/signin").submit("/signin/ingam")
	s.knows(p.open(app + "/api/auth/session").text())
}

func TestAuthJS(t *testing.T) {
	s := meet(t, "Auth.js, Express", nodeVersion(t, "authjs", "@auth/express"))
	address, app := s.place()
	s.node("authjs", address, s.client(app+"/auth/callback/ingam"))
	p := s.person()
	p.open(app + "/auth/signin").submit("/signin/ingam")
	s.knows(p.open(app + "/auth/session").text())
}

func TestBetterAuth(t *testing.T) {
	s := meet(t, "better-auth", nodeVersion(t, "better-auth", "better-auth"))
	address, app := s.place()
	s.node("better-auth", address, s.client(app+"/api/auth/callback/ingam"))
	s.knows(s.person().open(app + "/login").text())
}

func TestExpressOpenIDConnect(t *testing.T) {
	s := meet(t, "express-openid-connect", nodeVersion(t, "express-openid-connect", "express-openid-connect"))
	address, app := s.place()
	s.node("express-openid-connect", address, s.client(app+"/callback"))
	s.knows(s.person().open(app + "/").text())
}

func TestOIDCClientTS(t *testing.T) {
	s := meet(t, "oidc-client-ts", nodeVersion(t, "oidc-client-ts", "oidc-client-ts"))
	address, app := s.place()
	s.node("oidc-client-ts", address, s.client(app+"/callback", "--auth=none"))
	s.knows(s.person().open(app + "/").text())
}

func TestFastifyOAuth2(t *testing.T) {
	s := meet(t, "@fastify/oauth2", nodeVersion(t, "fastify-oauth2", "@fastify/oauth2"))
	address, app := s.place()
	s.node("fastify-oauth2", address, s.client(app+"/callback"))
	s.knows(s.person().open(app + "/login").text())
}
