package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/spf13/pflag"
)

// clientFlags are the flags with which a client is registered and later changed: all
// except those that are fixed at its creation.
type clientFlags struct {
	given      clients.Client
	scope      string
	hold       string
	pkce       string
	grace      durationFlag
	idTokenAlg string
	// idTokenClaims is true unless the flag says otherwise.
	idTokenClaims bool
	edits         clientEdits
}

// bind adds the flags to a command.
func (r *clientFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&r.given.Name, "name", "", "the name that users see")
	f.StringSliceVar(&r.given.Grants, "grant", nil, "a grant type that the client may use: client_credentials, authorization_code, refresh_token, first_party (repeatable)")
	f.StringArrayVar(&r.given.RedirectURIs, "redirect-uri", nil, "a redirect URI of the client; it must match exactly, except the port of a loopback address (repeatable)")
	f.BoolVar(&r.given.InsecureRedirects, "insecure-redirects", false, "accept http redirect URIs that are not loopback addresses; only for a network of your own, because everyone on the network path can read codes and change pages")
	f.StringArrayVar(&r.given.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "a URI to which users may return after sign-out (repeatable; default: the redirect URIs)")
	f.StringVar(&r.pkce, "pkce", "", "what the client must send to protect the authorization code: required (PKCE), nonce (PKCE, or a nonce if an ID token is granted) or optional (neither; only for a client with a secret that supports nothing else) (default: without a secret required, otherwise the server's clients.pkce)")
	f.Var(&r.grace, "refresh-grace", `for how long a repeated refresh gets the same answer, 0s for never, or "default" (the server's tokens.refresh_grace)`)
	f.BoolVar(&r.given.NoRefreshIDToken, "no-refresh-id-token", false, "issue no ID token at a refresh")
	f.BoolVar(&r.idTokenClaims, "id-token-claims", true, "put the claims of the scopes into ID tokens; with =false they are only at userinfo, for an app that sends ID tokens as id_token_hint, because URLs are kept in logs and histories")
	f.StringVar(&r.idTokenAlg, "id-token-alg", apis.DefaultAlg, "the algorithm that signs ID tokens for the client (id_token_signed_response_alg): RS256, PS256, ES256 or EdDSA (Ed25519)")
	f.StringVar(&r.scope, "scope", "", "the scopes that the client may ask for, separated by spaces")
	f.StringArrayVar(&r.given.Audiences, "audience", nil, "the audience of an API that the client may use; the first is the default (repeatable)")
	f.StringArrayVar(&r.given.Introspects, "introspects", nil, "the audience of an API that the client is: it may introspect the API's tokens and listen to the status stream (repeatable; default for a new client without --grant: its audiences)")
	f.BoolVar(&r.given.FirstParty, "skip-consent", false, "do not ask users for consent; only for your own apps")
	f.StringVar(&r.hold, "hold", "", "with first_party, where the refresh token is kept: memory (by the app) or cookie (in the browser) (default memory; with --origin cookie)")
	f.StringArrayVar(&r.given.Origins, "origin", nil, "with --hold cookie, a web origin of the app, on the server's own site (repeatable)")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "first-party" { // what it was called: too close to the grant first_party
			name = "skip-consent"
		}
		return pflag.NormalizedName(name)
	})
}

// apply sets the fields of a client whose flags were given, and leaves the others as
// they are.
func (r *clientFlags) apply(f *pflag.FlagSet, c *clients.Client) error {
	scopes, err := apis.ParseScope(r.scope)
	if err != nil {
		return err
	}
	signedIn := slices.Contains(c.Grants, clients.SignIn)
	follows := isItsAudiences(c)
	for flag, write := range map[string]func(){
		"name":                     func() { c.Name = r.given.Name },
		"grant":                    func() { c.Grants = r.given.Grants },
		"redirect-uri":             func() { c.RedirectURIs = r.given.RedirectURIs },
		"insecure-redirects":       func() { c.InsecureRedirects = r.given.InsecureRedirects },
		"post-logout-redirect-uri": func() { c.PostLogoutRedirectURIs = r.given.PostLogoutRedirectURIs },
		"pkce":                     func() { c.PKCE = clients.PKCE(r.pkce) },
		"refresh-grace":            func() { c.RefreshGrace = r.grace.of },
		"no-refresh-id-token":      func() { c.NoRefreshIDToken = r.given.NoRefreshIDToken },
		"id-token-claims":          func() { c.NoIDTokenClaims = !r.idTokenClaims },
		"id-token-alg":             func() { c.IDTokenSigning.Alg = r.idTokenAlg },
		"scope":                    func() { c.Scopes = scopes },
		"audience":                 func() { c.Audiences = r.given.Audiences },
		"introspects":              func() { c.Introspects = r.given.Introspects },
		"skip-consent":             func() { c.FirstParty = r.given.FirstParty },
		"hold":                     func() { c.Hold = clients.Hold(r.hold) },
		"origin":                   func() { c.Origins = r.given.Origins },
	} {
		if f.Changed(flag) {
			write()
		}
	}
	if err := r.edits.apply(f, c); err != nil {
		return err
	}
	if follows && len(c.Grants) == 0 && !f.Changed("introspects") && !f.Changed("add-introspects") && !f.Changed("remove-introspects") {
		// Otherwise it would stay the API of before, and could go on introspecting its tokens.
		c.Introspects = slices.Clone(c.Audiences)
	}
	signsIn, asked := slices.Contains(c.Grants, clients.SignIn), f.Changed("skip-consent")
	switch {
	case signsIn && asked && !c.FirstParty:
		return fmt.Errorf("--skip-consent=false does not go with the grant %s: the app asks for the password itself, and users are not asked for consent", clients.SignIn)
	case signedIn && !signsIn && !asked:
		// It was set because of the grant type, so it goes with the grant type.
		c.FirstParty = false
	}
	return nil
}

// isItsAudiences reports whether a client is the credentials of its audiences, as one that
// is created without a grant type.
func isItsAudiences(c *clients.Client) bool {
	return len(c.Grants) == 0 && len(c.Introspects) > 0 && slices.Equal(slices.Sorted(slices.Values(c.Audiences)), c.Introspects)
}

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

func (e *clientEdits) apply(f *pflag.FlagSet, c *clients.Client) error {
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

// onSite checks that a client's origins are on the server's site. It does so only if
// the issuer is configured, because a command may run without it.
func (c *concerns) onSite(of clients.Client) error {
	if issuer := c.cfg.Issuer.String(); issuer != "" {
		return of.OnSite(issuer)
	}
	return nil
}
