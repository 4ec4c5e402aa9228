package clients

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/field"
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
	if err := validID(c.ID); err != nil {
		return invalid("client_id", err)
	}
	if err := apis.ValidName(c.Name); err != nil {
		return invalid("name", err)
	}
	switch c.Auth {
	case SecretBasic, SecretPost, None:
	default:
		return invalid("token_endpoint_auth_method", fmt.Errorf("unknown client authentication %q; there are %s, %s and %s", c.Auth, SecretBasic, SecretPost, None))
	}
	for i, g := range c.Grants {
		if !slices.Contains(grantTypes, g) {
			return invalid("grant_types", field.At(fmt.Errorf("unknown grant type %q; there are %s", g, strings.Join(grantTypes, ", ")), i))
		}
		if slices.Contains(c.Grants[:i], g) {
			return invalid("grant_types", field.At(fmt.Errorf("grant type %q is given twice", g), i))
		}
	}
	if err := noneTwice("audience", c.Audiences); err != nil {
		return invalid("audiences", err)
	}
	if err := c.validIntrospects(); err != nil {
		return invalid("introspects", err)
	}
	for _, err := range []error{c.validGrants(), c.validPKCE(), c.validHold(slices.Contains(c.Grants, SignIn)), c.validAddresses()} {
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	if err := c.IDTokenSigning.Validate(); err != nil {
		return invalid("id_token_signed_response_alg", err)
	}
	if c.RefreshGrace != nil && (*c.RefreshGrace < 0 || *c.RefreshGrace > limits.MaxRefreshGrace) {
		return invalid("refresh_grace", fmt.Errorf("the refresh grace %s is not from 0s to %s", *c.RefreshGrace, limits.MaxRefreshGrace))
	}
	return nil
}

// invalid returns an ErrInvalid about a member of a registration.
func invalid(member string, err error) error {
	return field.At(fmt.Errorf("%w: %w", ErrInvalid, err), member)
}

func (c Client) validGrants() error {
	has := func(g string) bool { return slices.Contains(c.Grants, g) }
	switch {
	case has(ClientCredentials) && c.Auth == None:
		return field.At(errors.New("a public client cannot use client_credentials: anyone could (RFC 6749 section 4.4)"), "grant_types")
	case has(RefreshToken) && !has(AuthorizationCode):
		return field.At(errors.New("refresh_token is of no use without authorization_code"), "grant_types")
	case has(AuthorizationCode) && len(c.RedirectURIs) == 0:
		return field.At(errors.New("authorization_code needs a redirect URI"), "redirect_uris")
	case !has(AuthorizationCode) && len(c.RedirectURIs) > 0:
		return field.At(errors.New("redirect URIs are of no use without the grant authorization_code"), "redirect_uris")
	}
	return nil
}

func (c Client) validPKCE() (err error) {
	switch who := c.mustUsePKCE(); {
	case !slices.Contains(pkceRules, c.PKCE):
		err = fmt.Errorf("unknown rule for PKCE %q; there are %s, %s and %s", c.PKCE, PKCERequired, PKCENonce, PKCEOptional)
	case who != "" && c.PKCE != PKCERequired:
		err = fmt.Errorf("PKCE is %s, and %s must use it: codes can be read on their way to it (RFC 9700 section 2.1.1); register it with --pkce %s", c.PKCE, who, PKCERequired)
	}
	return field.At(err, "pkce")
}

func (c Client) validAddresses() error {
	for i, u := range c.PostLogoutRedirectURIs {
		err := c.validAddress(u)
		if other, twice := apis.Registered(c.PostLogoutRedirectURIs[:i], u); err == nil && twice {
			err = fmt.Errorf("post-logout redirect URI %q is given twice: it is the same address as %q (RFC 3986 section 6.2.3)", u, other)
		}
		if err != nil {
			return field.At(err, "post_logout_redirect_uris", i)
		}
	}
	for i, u := range c.RedirectURIs {
		err := c.validAddress(u)
		if err == nil && slices.Contains(c.RedirectURIs[:i], u) {
			err = fmt.Errorf("redirect URI %q is given twice", u)
		}
		if err != nil {
			return field.At(err, "redirect_uris", i)
		}
	}
	return nil
}

func (c Client) validHold(signsIn bool) error {
	member, err := c.wrongHold(signsIn)
	if err != nil {
		return field.At(err, member)
	}
	for i, origin := range c.Origins {
		if err := validOrigin(origin); err != nil {
			return field.At(err, "origins", i)
		}
	}
	return nil
}

// wrongHold returns what is wrong with how a client holds refresh tokens, and with which
// member.
func (c Client) wrongHold(signsIn bool) (member string, err error) {
	switch {
	case !signsIn && (c.Hold != "" || len(c.Origins) > 0):
		return "hold", fmt.Errorf("how refresh tokens are held, and origins, are of no use without the grant %s", SignIn)
	case !signsIn:
		return "", nil
	case c.Hold != HoldMemory && c.Hold != HoldCookie:
		return "hold", fmt.Errorf("refresh tokens are held in %s or in a %s", HoldMemory, HoldCookie)
	case c.Hold == HoldCookie && len(c.Origins) == 0:
		return "origins", fmt.Errorf("with a cookie a client needs the origins that it is used from")
	case c.Hold == HoldMemory && len(c.Origins) > 0:
		return "origins", fmt.Errorf("origins are for clients that hold refresh tokens in a cookie: a script that holds them loses them to any other script")
	case c.Hold == HoldCookie && c.Auth != None:
		return "token_endpoint_auth_method", fmt.Errorf("a client in browsers keeps no secret: its authentication is %s", None)
	case c.Hold == HoldCookie && len(c.Grants) > 1:
		// There, refresh tokens come in bodies.
		return "grant_types", fmt.Errorf("with a cookie the only grant is %s: at the token endpoint scripts would get what the cookie keeps from them", SignIn)
	}
	return "", nil
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
