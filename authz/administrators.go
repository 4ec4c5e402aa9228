package authz

import (
	"context"
	"errors"
	"slices"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
)

// errNotForAdministration: a good token, but for somebody else. It could have been taken
// from whichever API it is for.
var errNotForAdministration = protocol.Refuse(protocol.InvalidToken, "The access token is not for the administration alone.")

// Administrators says who calls the admin API by an access token. Every call is decided by
// what the database says now, so that a role that was taken away, a revocation and a
// disabled user count at once, whatever the token still says.
type Administrators struct {
	// audience is that of the admin API.
	audience string
	issuer   *tokens.Issuer
	registry *clients.Registry
	rules    *grants.Rules
	users    *accounts.Users
	standing *revocation.Cuts
}

// NewAdministrators returns the administrators of the admin API with that audience.
// standing knows what was revoked.
func NewAdministrators(audience string, issuer *tokens.Issuer, registry *clients.Registry, rules *grants.Rules, users *accounts.Users, standing *revocation.Cuts) *Administrators {
	return &Administrators{audience, issuer, registry, rules, users, standing}
}

// Caller returns who calls with an access token, with the scopes that the token has, that
// its client may still have and, if it was issued for a user, that the user holds a role
// for. It returns the client's id too, once known, for the log. Returns an InvalidToken.
func (a *Administrators) Caller(ctx context.Context, token string) (caller administration.Caller, client string, err error) {
	access, err := a.issuer.ReadAccess(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		invalid := *errInactive
		invalid.Cause = err
		return caller, "", &invalid
	}
	if err != nil {
		return caller, "", err
	}
	client = access.ClientID
	// A token for several APIs is known to all of them, and one of the type JWT may be an ID
	// token to somebody.
	if access.Type != tokens.AccessType || !slices.Equal(access.Audience, []string{a.audience}) {
		return caller, client, errNotForAdministration
	}
	stands, standing, err := a.standing.Stands(ctx, questionAbout(access), access.Epoch)
	if err != nil {
		return caller, client, err
	}
	if !stands {
		return caller, client, errInactive
	}
	scopes, err := a.left(ctx, access, standing)
	if err != nil {
		return caller, client, err
	}
	if access.GrantID == "" {
		return administration.NewCaller(audit.Client(client), scopes...).By(access.ID, client), client, nil
	}
	user, err := a.users.ByID(ctx, access.Subject)
	if errors.Is(err, accounts.ErrNotFound) {
		return caller, client, errInactive
	}
	if err != nil {
		return caller, client, err
	}
	return administration.NewCaller(audit.User(user.ID), held(user, scopes)...).By(access.ID, client), client, nil
}

// held returns the scopes that a user holds a role for. A token for all of them is for those
// that the user has.
func held(user accounts.User, scopes []string) []string {
	if slices.Contains(scopes, apis.AdministrationAll) {
		scopes = slices.Concat(scopes, user.Roles)
	}
	return slices.DeleteFunc(slices.Clone(scopes), func(scope string) bool { return !user.Administers(scope) })
}

// left returns those scopes of a token that are of the administration and that its client
// may still have. standing is that of the token.
func (a *Administrators) left(ctx context.Context, access tokens.Access, standing revocation.Standing) ([]string, error) {
	// Not from a copy in memory, which may not know yet what was taken from the client.
	left, some, err := leftOf(ctx, a.rules, a.registry.Stored, access, standing)
	if err != nil || !some {
		return nil, err
	}
	var scopes []string
	for _, p := range left.Permissions {
		if p.Audience == a.audience && apis.IsAdministration(p.Scope) && slices.Contains(access.Scopes, p.Scope) {
			scopes = append(scopes, p.Scope)
		}
	}
	return scopes, nil
}
