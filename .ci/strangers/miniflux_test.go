//go:build !quick

package strangers

import (
	"crypto/rand"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMiniflux is the real reader, on a PostgreSQL database of its own; whoever signs in
// gets an account.
func TestMiniflux(t *testing.T) {
	const version = "2.3.5"
	s := meet(t, "Miniflux", version)
	database := postgres(s)
	address, app := s.place()
	c := s.client(app + "/oauth2/oidc/callback")
	reader := exec.Command(goBinary(s, "miniflux.app/v2@v"+version))
	reader.Dir = t.TempDir()
	reader.Env = append(os.Environ(), "LISTEN_ADDR="+address, "BASE_URL="+app,
		"DATABASE_URL="+database, "RUN_MIGRATIONS=1",
		"OAUTH2_PROVIDER=oidc", "OAUTH2_OIDC_DISCOVERY_ENDPOINT="+s.issuer, "OAUTH2_USER_CREATION=1",
		"OAUTH2_CLIENT_ID="+c.ID, "OAUTH2_CLIENT_SECRET="+c.Secret, "OAUTH2_REDIRECT_URL="+app+"/oauth2/oidc/callback")
	startProcess(s, reader, address)
	// An account has a user name and nothing else of a person.
	s.knowsOf(s.person().open(app+"/oauth2/oidc/redirect").body, fact{"preferred_username", "Logged in as " + personUsername})
}

// postgres makes a database for an application on the tests' server, and returns its URL.
func postgres(s *stranger) string {
	s.Helper()
	need(s, "psql")
	server := os.Getenv("INGAM_TEST_POSTGRES")
	if server == "" {
		s.Fatal("INGAM_TEST_POSTGRES names no PostgreSQL server (make databases starts one)")
	}
	psql := func(statement string) {
		s.Helper()
		if out, err := exec.Command("psql", "-X", "-q", server, "-c", statement).CombinedOutput(); err != nil {
			s.Fatalf("psql: %v: %s", err, out)
		}
	}
	name := "ingam_test_stranger_" + strings.ToLower(rand.Text())
	psql("create database " + name)
	s.Cleanup(func() { psql("drop database " + name + " with (force)") })
	u, err := url.Parse(server)
	if err != nil {
		s.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
