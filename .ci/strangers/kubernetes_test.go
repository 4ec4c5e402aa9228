package strangers

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// TestKubernetes shows the API server's own authenticator the ID token that a plugin of
// kubectl gets: with PKCE, because the metadata announces it, and a nonce. Kubernetes
// asks nobody but the ID token.
func TestKubernetes(t *testing.T) {
	s := meetTLS(t, "Kubernetes API server", moduleVersion(t, "k8s.io/apiserver"))
	app, mux := serve(t)
	c := s.client(app)
	ctx := gooidc.ClientContext(t.Context(), s.httpClient())
	idToken := kubectl(ctx, s, app, mux, c)

	ca, err := os.ReadFile(s.ca)
	if err != nil {
		s.Fatal(err)
	}
	none := ""
	withIssuer := s.issuer + "#"
	for _, way := range []struct {
		name     string
		mappings apiserver.ClaimMappings
		want     func(*authenticator.Response) bool
	}{
		{"--oidc-username-claim at its default, sub", apiserver.ClaimMappings{
			Username: apiserver.PrefixedClaimOrExpression{Claim: "sub", Prefix: &withIssuer},
		}, func(r *authenticator.Response) bool { return strings.HasPrefix(r.User.GetName(), withIssuer) }},
		{"--oidc-username-claim=email", apiserver.ClaimMappings{
			Username: apiserver.PrefixedClaimOrExpression{Claim: "email", Prefix: &none},
		}, func(r *authenticator.Response) bool { return r.User.GetName() == personEmail }},
		{"a structured configuration", apiserver.ClaimMappings{
			Username: apiserver.PrefixedClaimOrExpression{Expression: "claims.email"},
			Extra:    []apiserver.ExtraMapping{{Key: "example.com/name", ValueExpression: "claims.name"}},
		}, func(r *authenticator.Response) bool {
			return r.User.GetName() == personEmail && fmt.Sprint(r.User.GetExtra()["example.com/name"]) == "["+personName+"]"
		}},
	} {
		config := apiserver.JWTAuthenticator{
			Issuer:        apiserver.Issuer{URL: s.issuer, CertificateAuthority: string(ca), Audiences: []string{c.ID}},
			ClaimMappings: way.mappings,
		}
		if !strings.HasPrefix(way.name, "--") {
			// It must be told which addresses it may believe, and says so.
			config.ClaimValidationRules = []apiserver.ClaimValidationRule{{
				Expression: "claims.email_verified", Message: "the address is not verified",
			}}
		}
		server, err := oidc.New(t.Context(), oidc.Options{JWTAuthenticator: config, CAContentProvider: bundle(ca)})
		if err != nil {
			s.Fatalf("%s: %v", way.name, err)
		}
		for deadline := time.Now().Add(30 * time.Second); server.HealthCheck() != nil; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				s.Fatalf("%s: %v", way.name, server.HealthCheck())
			}
		}
		r, ok, err := server.AuthenticateToken(t.Context(), idToken)
		if err != nil || !ok {
			s.Fatalf("%s: the token is refused: %v", way.name, err)
		}
		if !way.want(r) {
			s.Fatalf("%s: it is %q to it, with %v", way.name, r.User.GetName(), r.User.GetExtra())
		}
	}
	s.row.knew = "name (by CEL), e-mail"
}

type bundle []byte

func (b bundle) CurrentCABundleContent() []byte { return b }

// kubectl signs the person in as its plugins do, and returns the ID token.
func kubectl(ctx context.Context, s *stranger, app string, mux *http.ServeMux, c credentials) (idToken string) {
	s.Helper()
	relying, err := gooidc.NewProvider(ctx, s.issuer)
	if err != nil {
		s.Fatal(err)
	}
	config := oauth2.Config{
		ClientID: c.ID, ClientSecret: c.Secret, Endpoint: relying.Endpoint(), RedirectURL: app,
		Scopes: []string{gooidc.ScopeOpenID, "profile", "email"},
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("state") != state {
			http.Error(w, "another state", http.StatusBadRequest)
			return
		}
		token, err := config.Exchange(ctx, r.FormValue("code"), oauth2.VerifierOption(verifier))
		if refuse(w, err) {
			return
		}
		idToken, _ = token.Extra("id_token").(string)
		fmt.Fprintln(w, "You can close this window.")
	})
	pg := s.person().open(config.AuthCodeURL(state, gooidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	if idToken == "" {
		s.Fatalf("no ID token: %s %s", s.refused, pg.body)
	}
	return idToken
}
