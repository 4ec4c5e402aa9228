package strangers

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/apiserver/pkg/apis/apiserver"
	"k8s.io/apiserver/plugin/pkg/authenticator/token/oidc"
)

// TestKubernetes shows the API server's own authenticator the ID token that a plugin of
// kubectl gets: with PKCE, because the metadata announces it, and a nonce. Kubernetes
// asks nobody but the ID token.
func TestKubernetes(t *testing.T) {
	s := meetTLS(t, "Kubernetes API server", moduleVersion(t, "k8s.io/apiserver"))
	cli := newPlainClient(s, "--auth=none", "--scope=openid profile email roles")
	idToken, _ := cli.tokens("profile", "email", "roles").Extra("id_token").(string)

	ca, err := os.ReadFile(s.ca)
	if err != nil {
		s.Fatal(err)
	}
	none := ""
	withIssuer := s.issuer + "#"
	var known []string
	for _, way := range []struct {
		name     string
		mappings apiserver.ClaimMappings
		rules    []apiserver.ClaimValidationRule
		// want is the user: name, groups and what else there is.
		want string
	}{
		{
			name: "--oidc-username-claim at its default, sub",
			mappings: apiserver.ClaimMappings{
				Username: apiserver.PrefixedClaimOrExpression{Claim: "sub", Prefix: &withIssuer},
			},
			want: withIssuer + s.personID + " [] map[]",
		},
		{
			name: "--oidc-username-claim=email --oidc-groups-claim=roles",
			mappings: apiserver.ClaimMappings{
				Username: apiserver.PrefixedClaimOrExpression{Claim: "email", Prefix: &none},
				Groups:   apiserver.PrefixedClaimOrExpression{Claim: "roles", Prefix: &none},
			},
			want: personEmail + " [" + personRole + "] map[]",
		},
		{
			name: "a structured configuration",
			mappings: apiserver.ClaimMappings{
				Username: apiserver.PrefixedClaimOrExpression{Expression: "claims.email"},
				Extra:    []apiserver.ExtraMapping{{Key: "example.com/name", ValueExpression: "claims.name"}},
			},
			// Who takes an address so must say what is to be believed.
			rules: []apiserver.ClaimValidationRule{{
				Expression: "claims.email_verified == true", Message: "the address is not verified",
			}},
			want: personEmail + " [] map[example.com/name:[" + personName + "]]",
		},
	} {
		server, err := oidc.New(t.Context(), oidc.Options{
			JWTAuthenticator: apiserver.JWTAuthenticator{
				Issuer:               apiserver.Issuer{URL: s.issuer, CertificateAuthority: string(ca), Audiences: []string{cli.ID}},
				ClaimMappings:        way.mappings,
				ClaimValidationRules: way.rules,
			},
			CAContentProvider: bundle(ca),
		})
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
		user := fmt.Sprint(r.User.GetName(), " ", r.User.GetGroups(), " ", r.User.GetExtra())
		if user != way.want {
			s.Fatalf("%s: the user is %s, not %s", way.name, user, way.want)
		}
		known = append(known, user)
	}
	s.knowsOf(strings.Join(known, " "), fact{"sub", s.personID}, fact{"e-mail", personEmail}, fact{"roles", personRole}, fact{"name (by CEL)", personName})
}

type bundle []byte

func (b bundle) CurrentCABundleContent() []byte { return b }
