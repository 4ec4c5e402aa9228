package main

import (
	"context"
	"net/url"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/cmd/ingam/load"
)

// benchNames are all that can be measured, in the order of the table.
var benchNames = []string{
	"token", "token-PS256", "token-ES256", "token-EdDSA", "token-HS256", "code", "refresh", "refresh-openid",
	"introspection", "introspection-first", "jwks", "jwks-304", "discovery", "status-list",
}

// mostCodes is how many codes are made to be redeemed.
const mostCodes = 20_000

// families is how many grants are refreshed in turn.
const families = 100

// cases are all that a server of one's own can be asked.
func (r *benchRecords) cases(ctx context.Context, s *benchTarget) ([]benchCase, error) {
	usual := "bench-" + apis.DefaultAlg
	some, err := s.tokens(ctx, usual, r.secrets[usual], 1)
	if err != nil {
		return nil, err
	}
	public, _, err := s.publicCases(ctx, some[0])
	return append(r.ownCases(s, some[0]), public...), err
}

// ownCases are those that need the records, and a token.
func (r *benchRecords) ownCases(s *benchTarget, token string) (cases []benchCase) {
	for _, alg := range benchAlgs {
		name := "token-" + alg
		if alg == apis.DefaultAlg {
			name = "token"
		}
		cases = append(cases, s.tokenCase(name, "bench-"+alg, r.secrets["bench-"+alg]))
	}
	cases = append(cases, r.codeCase(s), r.refreshCase(s, "refresh", "read"), r.refreshCase(s, "refresh-openid", apis.OpenID, "read"))
	usual := "bench-" + apis.DefaultAlg
	return append(cases, s.introspectionCases(token, usual, r.secrets[usual], benchAPI, r.secrets[benchAPI])...)
}

// codeCase is an app that redeems the code of somebody who has signed in.
func (r *benchRecords) codeCase(s *benchTarget) benchCase {
	return benchCase{name: "code", grant: clients.AuthorizationCode, want: issues, most: mostCodes, ready: func(ctx context.Context, n int) ([]load.Series, error) {
		texts, err := r.redemptions(ctx, s, n, apis.OpenID, "read")
		return load.Each(texts, s.connections), err
	}}
}

// refreshCase refreshes grants in turn, each with its latest refresh token. No two
// connections refresh the same grant.
func (r *benchRecords) refreshCase(s *benchTarget, name string, scopes ...string) benchCase {
	var series []load.Series
	return benchCase{name: name, grant: clients.RefreshToken, want: issues, ready: func(ctx context.Context, _ int) ([]load.Series, error) {
		if series != nil {
			return series, nil
		}
		tokens, err := r.refreshTokens(ctx, s, max(families, s.connections), scopes...)
		if err != nil {
			return nil, err
		}
		for i := range s.connections {
			var own []string
			for k := i; k < len(tokens); k += s.connections {
				own = append(own, tokens[k])
			}
			series = append(series, s.refreshes(own))
		}
		return series, nil
	}}
}

// refreshes returns what a connection sends that refreshes these grants in turn.
func (s *benchTarget) refreshes(tokens []string) load.Series {
	turn := 0
	return load.Series{
		Next: func() string {
			return s.Form(s.token, url.Values{"grant_type": {clients.RefreshToken}, "client_id": {benchApp}, "refresh_token": {tokens[turn%len(tokens)]}})
		},
		Took: func(body []byte) (err error) {
			tokens[turn%len(tokens)], err = refreshTokenIn(body)
			turn++
			return err
		},
	}
}
