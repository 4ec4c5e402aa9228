//go:build !quick

package strangers

import (
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

var springBoots = []string{"3.5.16", "4.0.7"}

// springApp builds an application of the folder spring, once for each version of
// Spring Boot, and starts it on properties.
func springApp(s *stranger, name, address string, properties map[string]string) {
	s.Helper()
	need(s, "java", "mvn")
	dir := install(s, filepath.Join("spring", name), []string{"mvn", "--quiet", "--batch-mode", "-Dboot=" + s.row.version, "package"})
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(properties)) {
		b.WriteString(key + "=" + properties[key] + "\n")
	}
	b.WriteString("server.address=127.0.0.1\nserver.port=" + port(address) + "\n")
	work := s.TempDir()
	if err := os.WriteFile(filepath.Join(work, "application.properties"), []byte(b.String()), 0o600); err != nil {
		s.Fatal(err)
	}
	java := exec.Command("java", "-XX:TieredStopAtLevel=1", "-jar", filepath.Join(dir, "target", "app.jar"))
	java.Dir = work
	startProcess(s, java, address)
}

// TestSpringClient is told the issuer, a client and three scopes.
func TestSpringClient(t *testing.T) {
	for _, boot := range springBoots {
		t.Run(boot, func(t *testing.T) {
			s := meet(t, "Spring Boot, client", boot)
			address := freeAddress(t)
			app := "http://localhost:" + port(address)
			c := s.client(app + "/login/oauth2/code/ingam")
			springApp(s, "client", address, map[string]string{
				"spring.security.oauth2.client.provider.ingam.issuer-uri":        s.issuer,
				"spring.security.oauth2.client.registration.ingam.client-id":     c.ID,
				"spring.security.oauth2.client.registration.ingam.client-secret": c.Secret,
				"spring.security.oauth2.client.registration.ingam.scope":         "openid,profile,email",
			})
			s.knows(s.person().open(app + "/").body)
		})
	}
}

// TestSpringResourceServer is told the issuer and nothing else: its decoder takes
// tokens of the type JWT alone, so the API is registered for that. ID tokens are of that
// type too, and it takes none once it is told its audience.
func TestSpringResourceServer(t *testing.T) {
	for _, boot := range springBoots {
		t.Run(boot, func(t *testing.T) {
			s := meet(t, "Spring Boot, resource server", boot)
			tokens := apiTokens(s, "--token-typ=JWT")
			said := springAPI(s).opens(tokens.AccessToken)
			careful := springAPI(s, "spring.security.oauth2.resourceserver.jwt.audiences", apiAudience)
			careful.opens(tokens.AccessToken)
			careful.refuses(tokens.Extra("id_token").(string))
			s.knowsOf(said, fact{"sub", s.personID}, fact{"scope", "SCOPE_read"})
		})
	}
}

// TestSpringResourceServerRFC9068 has a decoder for access tokens as they are, which
// takes no ID token.
func TestSpringResourceServerRFC9068(t *testing.T) {
	for _, boot := range springBoots {
		t.Run(boot, func(t *testing.T) {
			s := meet(t, "Spring Boot, resource server with a decoder for at+jwt", boot)
			tokens := apiTokens(s)
			api := springAPI(s, "rfc9068.audience", apiAudience)
			said := api.opens(tokens.AccessToken)
			api.refuses(tokens.Extra("id_token").(string))
			s.knowsOf(said, fact{"sub", s.personID}, fact{"scope", "SCOPE_read"})
		})
	}
}

// apiTokens registers an API and a client of it, and signs the person in there.
func apiTokens(s *stranger, apiFlags ...string) *oauth2.Token {
	s.Helper()
	s.createAPI(apiFlags...)
	return newPlainClient(s, "--scope=openid read", "--audience="+apiAudience).tokens("read")
}

// createAPI registers an API; further flags are told in the table.
func (s *stranger) createAPI(further ...string) (secret string) {
	s.Helper()
	for _, flag := range further {
		s.row.flags = append(s.row.flags, "api create "+flag)
	}
	return s.provider.createAPI(s, further...)
}

// api is a running resource server.
type api struct {
	s   *stranger
	url string
}

// springAPI starts one that is told the issuer, and further properties, in pairs.
func springAPI(s *stranger, further ...string) api {
	s.Helper()
	properties := map[string]string{"spring.security.oauth2.resourceserver.jwt.issuer-uri": s.issuer}
	for i := 0; i+1 < len(further); i += 2 {
		properties[further[i]] = further[i+1]
	}
	address := freeAddress(s)
	springApp(s, "resource", address, properties)
	return api{s, "http://" + address + "/"}
}

// opens fails unless the token opens the API, and returns what that says of the caller.
func (a api) opens(token string) string {
	a.s.Helper()
	status, said := a.call(token)
	if status != http.StatusOK {
		a.s.Fatalf("the token is refused: %d %s", status, said)
	}
	return said
}

// refuses fails unless the token does not.
func (a api) refuses(token string) {
	a.s.Helper()
	if status, said := a.call(token); status != http.StatusUnauthorized {
		a.s.Fatalf("a token that is not for the API opens it: %d %s", status, said)
	}
}

func (a api) call(token string) (status int, said string) {
	a.s.Helper()
	r, err := http.NewRequest(http.MethodGet, a.url, nil)
	if err != nil {
		a.s.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.s.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.s.Fatal(err)
	}
	return resp.StatusCode, resp.Header.Get("WWW-Authenticate") + string(body)
}
