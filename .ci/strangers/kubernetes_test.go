package strangers

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// TestKubernetes shows the API server's own authenticator the ID token that a plugin of
// kubectl gets: with PKCE, because the metadata announces it, and a nonce. Kubernetes
// asks nobody but the ID token.
func TestKubernetes(t *testing.T) {
	s := meetTLS(t, "Kubernetes API server", moduleVersion(t, "k8s.io/apiserver"))
	cli := newPlainClient(s, "--scope=openid profile email roles")
	idToken, _ := cli.tokens("profile", "email", "roles").Extra("id_token").(string)

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
		}, func(r *authenticator.Response) bool { return r.User.GetName() == withIssuer+s.personID }},
		{"--oidc-username-claim=email --oidc-groups-claim=roles", apiserver.ClaimMappings{
			Username: apiserver.PrefixedClaimOrExpression{Claim: "email", Prefix: &none},
			Groups:   apiserver.PrefixedClaimOrExpression{Claim: "roles", Prefix: &none},
		}, func(r *authenticator.Response) bool {
			return r.User.GetName() == personEmail && slices.Equal(r.User.GetGroups(), []string{personRole})
		}},
		{"a structured configuration", apiserver.ClaimMappings{
			Username: apiserver.PrefixedClaimOrExpression{Expression: "claims.email"},
			Extra:    []apiserver.ExtraMapping{{Key: "example.com/name", ValueExpression: "claims.name"}},
		}, func(r *authenticator.Response) bool {
			return r.User.GetName() == personEmail && fmt.Sprint(r.User.GetExtra()["example.com/name"]) == "["+personName+"]"
		}},
	} {
		config := apiserver.JWTAuthenticator{
			Issuer:        apiserver.Issuer{URL: s.issuer, CertificateAuthority: string(ca), Audiences: []string{cli.ID}},
			ClaimMappings: way.mappings,
		}
		if !strings.HasPrefix(way.name, "--") {
			// It must be told which addresses it may believe, and says so.
			config.ClaimValidationRules = []apiserver.ClaimValidationRule{{
				Expression: "claims.email_verified == true", Message: "the address is not verified",
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
			s.Fatalf("%s: it is %q to it, with %v and %v", way.name, r.User.GetName(), r.User.GetGroups(), r.User.GetExtra())
		}
	}
	s.row.knew = "name (by CEL), e-mail, roles"
}

type bundle []byte

func (b bundle) CurrentCABundleContent() []byte { return b }
