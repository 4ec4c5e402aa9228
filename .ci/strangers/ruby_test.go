//go:build !quick

package strangers

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestOmniAuth is GitLab's strategy, as Debian has it; it finds providers by https alone.
func TestOmniAuth(t *testing.T) {
	const packages = "ruby ruby-omniauth-openid-connect ruby-sinatra ruby-webrick"
	s := meetTLS(t, "omniauth_openid_connect (GitLab)", "")
	need(s, "ruby")
	gem := exec.Command("ruby", "-e", "require 'sinatra/base'; require 'omniauth_openid_connect'; print OmniAuth::OpenIDConnect::VERSION")
	version, err := gem.Output()
	if err != nil {
		s.Fatalf("a gem is missing (apt-get install %s): %v", packages, err)
	}
	s.row.version = strings.TrimSpace(string(version))

	address, app := s.place()
	c := s.client(app + "/users/auth/openid_connect/callback")
	script, err := filepath.Abs(filepath.Join("ruby", "omniauth", "app.rb"))
	if err != nil {
		s.Fatal(err)
	}
	s.run(exec.Command("ruby", script), address, c, "CA="+s.ca)
	s.knows(s.person().open(app + "/").submit("/users/auth/openid_connect").text())
}
