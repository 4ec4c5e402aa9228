package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/pflag"
)

// clientFlags are the flags with which a client is registered and later changed: all
// except those that are fixed at its creation.
type clientFlags struct {
	given            admin.Client
	scope            string
	grace            durationFlag
	noRefreshIDToken bool
	edits            clientEdits
}

// bind adds the flags to a command.
func (r *clientFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&r.given.Name, "name", "", "the name that users see")
	f.StringSliceVar(&r.given.Grants, "grant", nil, "a grant type that the client may use: client_credentials, authorization_code, refresh_token, first_party (repeatable)")
	f.StringArrayVar(&r.given.RedirectURIs, "redirect-uri", nil, "a redirect URI of the client; it must match exactly, except the port of a loopback address (repeatable)")
	f.BoolVar(&r.given.InsecureRedirects, "insecure-redirects", false, "accept http redirect URIs that are not loopback addresses; only for a network of your own, because everyone on the network path can read codes and change pages")
	f.StringArrayVar(&r.given.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "a URI to which users may return after sign-out (repeatable; default: the redirect URIs)")
	f.StringVar(&r.given.PKCE, "pkce", "", "what the client must send to protect the authorization code: required (PKCE), nonce (PKCE, or a nonce if an ID token is granted) or optional (neither; only for a client with a secret that supports nothing else) (default: without a secret required, otherwise the server's clients.pkce)")
	f.Var(&r.grace, "refresh-grace", `for how long a repeated refresh gets the same answer, 0s for never, or "default" (the server's tokens.refresh_grace)`)
	f.BoolVar(&r.noRefreshIDToken, "no-refresh-id-token", false, "issue no ID token at a refresh")
	f.BoolVar(&r.given.IDTokenClaims, "id-token-claims", true, "put the claims of the scopes into ID tokens; with =false they are only at userinfo, for an app that sends ID tokens as id_token_hint, because URLs are kept in logs and histories")
	f.StringVar(&r.given.IDTokenAlg, "id-token-alg", apis.DefaultAlg, "the algorithm that signs ID tokens for the client (id_token_signed_response_alg): RS256, PS256, ES256 or EdDSA (Ed25519)")
	f.StringVar(&r.scope, "scope", "", "the scopes that the client may ask for, separated by spaces")
	f.StringArrayVar(&r.given.Audiences, "audience", nil, "the audience of an API that the client may use; the first is the default (repeatable)")
	f.StringArrayVar(&r.given.Introspects, "introspects", nil, "the audience of an API that the client is: it may introspect the API's tokens and listen to the status stream (repeatable; default for a new client without --grant: its audiences)")
	f.BoolVar(&r.given.FirstParty, "skip-consent", false, "do not ask users for consent; only for your own apps")
	f.StringVar(&r.given.Hold, "hold", "", "with first_party, where the refresh token is kept: memory (by the app) or cookie (in the browser) (default memory; with --origin cookie)")
	f.StringArrayVar(&r.given.Origins, "origin", nil, "with --hold cookie, a web origin of the app, on the server's own site (repeatable)")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "first-party" { // what it was called: too close to the grant first_party
			name = "skip-consent"
		}
		return pflag.NormalizedName(name)
	})
}

// settings returns what the flags ask for, given the client as it is.
func (r *clientFlags) settings(f *pflag.FlagSet, is admin.Client) (s administration.ClientSettings, err error) {
	scopes, err := apis.ParseScope(r.scope)
	if err != nil {
		return s, err
	}
	for flag, write := range map[string]func(){
		"name":                     func() { s.Name = &r.given.Name },
		"grant":                    func() { is.Grants = r.given.Grants },
		"redirect-uri":             func() { is.RedirectURIs = r.given.RedirectURIs },
		"insecure-redirects":       func() { s.InsecureRedirects = &r.given.InsecureRedirects },
		"post-logout-redirect-uri": func() { is.PostLogoutRedirectURIs = r.given.PostLogoutRedirectURIs },
		"pkce":                     func() { s.PKCE = &r.given.PKCE },
		"refresh-grace":            func() { s.RefreshGrace = administration.Null(r.grace.value()) },
		"no-refresh-id-token":      func() { s.RefreshIDToken = new(!r.noRefreshIDToken) },
		"id-token-claims":          func() { s.IDTokenClaims = &r.given.IDTokenClaims },
		"id-token-alg":             func() { s.IDTokenAlg = &r.given.IDTokenAlg },
		"scope":                    func() { is.Scopes = scopes },
		"audience":                 func() { is.Audiences = r.given.Audiences },
		"introspects":              func() { is.Introspects = r.given.Introspects },
		"skip-consent":             func() { s.FirstParty = &r.given.FirstParty },
		"hold":                     func() { s.Hold = &r.given.Hold },
		"origin":                   func() { is.Origins = r.given.Origins },
	} {
		if f.Changed(flag) {
			write()
		}
	}
	if err := r.edits.apply(f, &is); err != nil {
		return s, err
	}
	for flag, list := range map[string]struct {
		is []string
		to **[]string
	}{
		"grant": {is.Grants, &s.Grants}, "redirect-uri": {is.RedirectURIs, &s.RedirectURIs}, "post-logout-redirect-uri": {is.PostLogoutRedirectURIs, &s.PostLogoutRedirectURIs},
		"scope": {is.Scopes, &s.Scopes}, "audience": {is.Audiences, &s.Audiences}, "introspects": {is.Introspects, &s.Introspects}, "origin": {is.Origins, &s.Origins},
	} {
		if given := changed(f, flag, "add-"+flag, "remove-"+flag); given {
			*list.to = new(append([]string{}, list.is...))
		}
	}
	if slices.Contains(is.Grants, clients.SignIn) && s.FirstParty != nil && !*s.FirstParty {
		return s, fmt.Errorf("--skip-consent=false does not go with the grant %s: the app asks for the password itself, and users are not asked for consent", clients.SignIn)
	}
	return s, nil
}

// changed reports whether one of the flags was given.
func changed(f *pflag.FlagSet, names ...string) bool { return slices.ContainsFunc(names, f.Changed) }

// clientEdits are the flags that only an update has.
type clientEdits struct {
	grants, redirectURIs, postLogoutRedirectURIs, scopes, audiences, introspects, origins listEdit
}

func (e *clientEdits) bind(f *pflag.FlagSet) {
	e.postLogoutRedirectURIs.spelt, e.audiences.spelt, e.introspects.spelt = true, true, true
	e.scopes.split = apis.ParseScope
	e.grants.split = func(s string) ([]string, error) { return strings.Split(s, ","), nil }
	e.grants.bind(f, "grant")
	e.redirectURIs.bind(f, "redirect-uri")
	e.postLogoutRedirectURIs.bind(f, "post-logout-redirect-uri")
	e.scopes.bind(f, "scope")
	e.audiences.bind(f, "audience")
	e.introspects.bind(f, "introspects")
	e.origins.bind(f, "origin")
}

func (e *clientEdits) apply(f *pflag.FlagSet, c *admin.Client) error {
	return errors.Join(
		e.grants.apply(f, &c.Grants),
		e.redirectURIs.apply(f, &c.RedirectURIs),
		e.postLogoutRedirectURIs.apply(f, &c.PostLogoutRedirectURIs),
		e.scopes.apply(f, &c.Scopes),
		e.audiences.apply(f, &c.Audiences),
		e.introspects.apply(f, &c.Introspects),
		e.origins.apply(f, &c.Origins),
	)
}
