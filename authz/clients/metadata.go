package clients

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/config/limits"
)

// The grant types a client can be registered for.
const (
	ClientCredentials = "client_credentials"
	AuthorizationCode = "authorization_code"
	RefreshToken      = "refresh_token"
	// SignIn is that of clients that ask people for their password themselves,
	// and post it: for the apps of whoever runs the server, and for nobody else's.
	SignIn = "first_party"
)

var grantTypes = []string{ClientCredentials, AuthorizationCode, RefreshToken, SignIn}

// validate checks what can be told from the registration alone.
func (c Client) validate() error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)
	}
	if err := validID(c.ID); err != nil {
		return invalid("%w", err)
	}
	if err := apis.ValidName(c.Name); err != nil {
		return invalid("%w", err)
	}
	switch c.Auth {
	case SecretBasic, SecretPost, None:
	default:
		return invalid("unknown client authentication %q; there are %s, %s and %s", c.Auth, SecretBasic, SecretPost, None)
	}
	for i, g := range c.Grants {
		if !slices.Contains(grantTypes, g) {
			return invalid("unknown grant type %q; there are %s", g, strings.Join(grantTypes, ", "))
		}
		if slices.Contains(c.Grants[:i], g) {
			return invalid("grant type %q is given twice", g)
		}
	}
	if err := noneTwice("audience", c.Audiences); err != nil {
		return invalid("%w", err)
	}
	if err := c.validIntrospects(); err != nil {
		return invalid("%w", err)
	}
	has := func(g string) bool { return slices.Contains(c.Grants, g) }
	switch {
	case has(ClientCredentials) && c.Auth == None:
		return invalid("a public client cannot use client_credentials: anyone could (RFC 6749 section 4.4)")
	case has(RefreshToken) && !has(AuthorizationCode):
		return invalid("refresh_token is of no use without authorization_code")
	case has(AuthorizationCode) && len(c.RedirectURIs) == 0:
		return invalid("authorization_code needs a redirect URI")
	case !has(AuthorizationCode) && len(c.RedirectURIs) > 0:
		return invalid("redirect URIs are of no use without the grant authorization_code")
	}
	switch who := c.mustUsePKCE(); {
	case !slices.Contains(pkceRules, c.PKCE):
		return invalid("unknown rule for PKCE %q; there are %s, %s and %s", c.PKCE, PKCERequired, PKCENonce, PKCEOptional)
	case who != "" && c.PKCE != PKCERequired:
		return invalid("PKCE is %s, and %s must use it: codes can be read on their way to it (RFC 9700 section 2.1.1); register it with --pkce %s", c.PKCE, who, PKCERequired)
	}
	if err := c.validHold(has(SignIn)); err != nil {
		return invalid("%w", err)
	}
	for i, u := range c.PostLogoutRedirectURIs {
		if err := c.validAddress(u); err != nil {
			return invalid("%w", err)
		}
		if other, twice := apis.Registered(c.PostLogoutRedirectURIs[:i], u); twice {
			return invalid("post-logout redirect URI %q is given twice: it is the same address as %q (RFC 3986 section 6.2.3)", u, other)
		}
	}
	if err := c.IDTokenSigning.Validate(); err != nil {
		return invalid("%w", err)
	}
	if c.RefreshGrace != nil && (*c.RefreshGrace < 0 || *c.RefreshGrace > limits.MaxRefreshGrace) {
		return invalid("the refresh grace %s is not from 0s to %s", *c.RefreshGrace, limits.MaxRefreshGrace)
	}
	for i, u := range c.RedirectURIs {
		if err := c.validAddress(u); err != nil {
			return invalid("%w", err)
		}
		if slices.Contains(c.RedirectURIs[:i], u) {
			return invalid("redirect URI %q is given twice", u)
		}
	}
	return nil
}

func (c Client) validHold(signsIn bool) error {
	switch {
	case !signsIn && (c.Hold != "" || len(c.Origins) > 0):
		return fmt.Errorf("how refresh tokens are held, and origins, are of no use without the grant %s", SignIn)
	case !signsIn:
		return nil
	case c.Hold != HoldMemory && c.Hold != HoldCookie:
		return fmt.Errorf("refresh tokens are held in %s or in a %s", HoldMemory, HoldCookie)
	case c.Hold == HoldCookie && len(c.Origins) == 0:
		return fmt.Errorf("with a cookie a client needs the origins that it is used from")
	case c.Hold == HoldMemory && len(c.Origins) > 0:
		return fmt.Errorf("origins are for clients that hold refresh tokens in a cookie: a script that holds them loses them to any other script")
	case c.Hold == HoldCookie && c.Auth != None:
		return fmt.Errorf("a client in browsers keeps no secret: its authentication is %s", None)
	case c.Hold == HoldCookie && len(c.Grants) > 1:
		// There, refresh tokens come in bodies.
		return fmt.Errorf("with a cookie the only grant is %s: at the token endpoint scripts would get what the cookie keeps from them", SignIn)
	}
	for _, origin := range c.Origins {
		if err := validOrigin(origin); err != nil {
			return err
		}
	}
	return nil
}

// validID accepts what needs no escaping in a header, a form, a log or a
// command: a colon would split HTTP Basic credentials in the wrong place.
func validID(id string) error {
	if id == "" || len(id) > 128 {
		return fmt.Errorf("a client id has 1 to 128 characters")
	}
	for _, r := range id {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("-._~@/", r):
		default:
			return fmt.Errorf("the client id %q may hold only letters, digits and -._~@/", id)
		}
	}
	return nil
}
