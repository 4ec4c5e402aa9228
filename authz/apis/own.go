package apis

import (
	"fmt"
	"slices"
	"strings"
)

// The scopes that the server itself understands. An API that offers one of the
// latter three, or of the configured ones, has done so since before there were
// any: for its clients the scope is the API's.
const (
	OpenID        = "openid"         // an ID token, and userinfo (OpenID Connect Core 1.0 section 3.1.2.1)
	Profile       = "profile"        // the claims of section 5.4, and those that no other scope names
	Email         = "email"          // the same
	OfflineAccess = "offline_access" // the grant outlives the login session (section 11)
	Phone         = "phone"          // the claims of section 5.4
	Address       = "address"        // the same
	Roles         = "roles"          // the roles of the user
)

// always are the server's own whatever an API offers: they always were.
var always = []string{OpenID, Profile, Email, OfflineAccess}

// AlwaysOwn reports whether a scope is the server's own, whatever an API offers.
func AlwaysOwn(scope string) bool { return slices.Contains(always, scope) }

// OwnScope is a scope that the server itself understands.
type OwnScope struct {
	Name string
	// Claims are the claims about a user that it releases.
	Claims []string
	// Further is whether this server was configured with it, so that other servers do not
	// have it. Texts say, by language (BCP 47), what it allows; what the scopes of every
	// server allow is written in package pages.
	Further bool
	Texts   map[string]string
}

// standard are those of every server, in the order in which claims find room in an
// ID token.
var standard = []OwnScope{
	{Name: OpenID},
	{Name: Email, Claims: []string{"email", "email_verified"}},
	{Name: Profile, Claims: []string{
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile", "picture", "website",
		"gender", "birthdate", "zoneinfo", "locale", "updated_at",
	}},
	{Name: Roles, Claims: []string{"roles"}},
	{Name: Phone, Claims: []string{"phone_number", "phone_number_verified"}},
	{Name: Address, Claims: []string{"address"}},
	{Name: OfflineAccess},
}

// Own is the set of scopes that the server itself understands, such as openid and
// profile, and the claims about a user that each of them releases.
type Own struct{ scopes []OwnScope }

// NewOwn returns the scopes that every server has, and further ones that this server was
// configured with. It refuses a further one that would change the meaning of a scope or
// a claim that exists.
func NewOwn(further ...OwnScope) (*Own, error) {
	own := &Own{slices.Clone(standard)}
	for _, s := range further {
		if list, err := ParseScope(s.Name); err != nil || len(list) != 1 || list[0] != s.Name {
			return nil, fmt.Errorf("the scope %q is not one word of visible ASCII characters without quotes and backslashes", s.Name)
		}
		if IsAdministration(s.Name) {
			return nil, fmt.Errorf("the scope %s is one of the administration", s.Name)
		}
		if own.Has(s.Name) {
			return nil, fmt.Errorf("the scope %s is there already", s.Name)
		}
		if len(s.Claims) == 0 {
			return nil, fmt.Errorf("the scope %s carries no claim", s.Name)
		}
		for i, claim := range s.Claims {
			switch of := own.scopeOf(claim); {
			case claim == "" || strings.TrimSpace(claim) != claim:
				return nil, fmt.Errorf("the scope %s: %q is no name of a claim", s.Name, claim)
			case slices.Contains(s.Claims[:i], claim):
				return nil, fmt.Errorf("the scope %s names the claim %s twice", s.Name, claim)
			case of != "":
				return nil, fmt.Errorf("the claim %s is of the scope %s", claim, of)
			case ReservedClaim(claim):
				return nil, fmt.Errorf("the claim %s says something of the token, and not of the user", claim)
			}
		}
		if err := validTexts(s.Name, s.Texts); err != nil {
			return nil, err
		}
		s.Further = true
		own.scopes = append(own.scopes, s)
	}
	return own, nil
}

// scopeOf returns the scope that releases a claim; empty if none names it.
func (o *Own) scopeOf(claim string) string {
	for _, s := range o.scopes {
		if slices.Contains(s.Claims, claim) {
			return s.Name
		}
	}
	return ""
}

// Has reports whether a scope is in the set.
func (o *Own) Has(scope string) bool {
	_, ok := o.Find(scope)
	return ok
}

// Find returns the scope with that name.
func (o *Own) Find(scope string) (OwnScope, bool) {
	i := slices.IndexFunc(o.scopes, func(s OwnScope) bool { return s.Name == scope })
	if i < 0 {
		return OwnScope{}, false
	}
	return o.scopes[i], true
}

// All returns the scopes in the order in which their claims go into an ID token, which
// has room for a limited number.
func (o *Own) All() []OwnScope { return o.scopes }

// Names returns the names of all scopes in the set.
func (o *Own) Names() []string {
	names := make([]string, len(o.scopes))
	for i, s := range o.scopes {
		names[i] = s.Name
	}
	return names
}

// Claims returns the names of all claims that the scopes release.
func (o *Own) Claims() []string {
	var claims []string
	for _, s := range o.scopes {
		claims = append(claims, s.Claims...)
	}
	return claims
}

// Further reports whether no scope names a claim. The scope profile releases such a one.
func (o *Own) Further(claim string) bool { return o.scopeOf(claim) == "" }

// reserved are claims that say something of a token, not of a user.
var reserved = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr", "at_hash", "c_hash", "s_hash", "sid",
	"gid", "epoch", "client_id", "scope", "cnf", "act", "status", "_claim_names", "_claim_sources",
}

// ReservedClaim reports whether a claim says something about a token, such as iss or exp.
// No claim about a user may have such a name: it would be taken for the token's own.
func ReservedClaim(name string) bool { return NamesClaim(reserved, name) }

// NamesClaim reports whether a claim is one of a list to somebody: Go's own JSON,
// which many clients are made with, takes "Sub" and even "ſub" for "sub".
func NamesClaim(list []string, name string) bool {
	return slices.ContainsFunc(list, func(one string) bool { return strings.EqualFold(one, name) })
}

// CheckNew refuses an API that offers one of the server's own scopes, unless the API
// offered it before.
func (o *Own) CheckNew(scopes, before []string) error {
	for i, scope := range scopes {
		if o.Has(scope) && !slices.Contains(before, scope) {
			return Invalid(fmt.Errorf("the scope %s is the server's own; call the API's another name", scope), "scopes", i)
		}
	}
	return nil
}

// Kept returns the scopes that an API and the server both have, and that for the clients
// of the API are the API's: it offered them before the server had them.
func (o *Own) Kept(a API) []string {
	return slices.DeleteFunc(slices.Clone(a.Scopes), func(scope string) bool { return !o.Has(scope) || AlwaysOwn(scope) })
}
