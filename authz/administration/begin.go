package administration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
)

// ErrBegun: there is an administrator already, who makes the next ones.
var ErrBegun = errors.New("there is an administrator already, who can give others a role")

// apiName is what people are shown where they allow an application to administer.
const apiName = "Administration"

// Beginning makes the first administrator, and what they need to call the admin API.
type Beginning struct {
	store    Together
	catalog  *catalog.Catalog
	registry *clients.Registry
	users    *accounts.Users
	audience string
}

// NewBeginning returns what makes the first administrator. audience is that of the admin
// API.
func NewBeginning(store Together, catalog *catalog.Catalog, registry *clients.Registry, users *accounts.Users, audience string) *Beginning {
	return &Beginning{store, catalog, registry, users, audience}
}

// Begin gives a user the role All, and registers the API of the administration and the
// client of `ingam login` where they are missing. A user who is not there yet is created
// with that password. It is for the operator alone, and refuses once there is an
// administrator: whoever may run commands on the server's machine could otherwise become
// one unseen. Returns ErrBegun, accounts.ErrNotFound if there is no such user and no
// password, or what the concerns return.
func (b *Beginning) Begin(ctx context.Context, by Caller, u accounts.User, password, reason string) (made accounts.User, created bool, err error) {
	err = b.store.Together(ctx, func(ctx context.Context) error {
		if err := b.ensureAPI(ctx, by, reason); err != nil {
			return err
		}
		if err := b.ensureClient(ctx, by, reason); err != nil {
			return err
		}
		made, created, err = b.appoint(ctx, by, u, password, reason)
		return err
	})
	return made, created, err
}

// ensureAPI registers the API of the administration with all scopes of this version.
func (b *Beginning) ensureAPI(ctx context.Context, by Caller, reason string) error {
	api := apis.API{Audience: b.audience, Name: apiName, TokenType: apis.ATJWT, ScopeTexts: apis.ScopeTexts{}}
	for _, s := range Scopes {
		api.Scopes = append(api.Scopes, s.Name)
		api.ScopeTexts[s.Name] = map[string]string{"en": s.Text, "ko": korean[s.Name]}
	}
	_, err := b.catalog.Stored(ctx, b.audience)
	if errors.Is(err, catalog.ErrNotFound) {
		_, err = b.catalog.CreateAdministration(ctx, api, reason, by.Actor)
		return err
	}
	if err != nil {
		return err
	}
	// An older version made it, which knew fewer scopes.
	_, _, err = b.catalog.Update(ctx, b.audience, func(a *apis.API) error {
		a.Scopes, a.ScopeTexts = api.Scopes, api.ScopeTexts
		return nil
	}, reason, by.Actor)
	return err
}

// appoint gives a user the role All, and creates them if they are not there yet.
func (b *Beginning) appoint(ctx context.Context, by Caller, u accounts.User, password, reason string) (accounts.User, bool, error) {
	holders, err := b.users.List(ctx, accounts.Query{Role: All})
	if err != nil {
		return u, false, err
	}
	if slices.ContainsFunc(holders, func(u accounts.User) bool { return !u.Disabled }) {
		return u, false, ErrBegun
	}
	is, err := b.users.ByName(ctx, u.Username)
	if errors.Is(err, accounts.ErrNotFound) && password != "" {
		u.Roles = []string{All}
		made, err := b.users.Create(ctx, u, password, by.Actor)
		return made, true, err
	}
	if err != nil {
		return u, false, err
	}
	is, _, err = b.users.Update(ctx, is.ID, func(u *accounts.User, _ accounts.Others) error {
		if !slices.Contains(u.Roles, All) {
			u.Roles = append(slices.Clone(u.Roles), All)
		}
		return nil
	}, reason, by.Actor)
	return is, false, err
}

// ensureClient registers the client of `ingam login`. It is nobody's own app: people are
// always asked, because any program on their machine could have begun the sign-in.
func (b *Beginning) ensureClient(ctx context.Context, by Caller, reason string) error {
	c := clients.Client{
		ID: LoginClient, Name: "ingam login", Auth: clients.None, Grants: []string{clients.AuthorizationCode, clients.RefreshToken},
		RedirectURIs: []string{"http://127.0.0.1/callback"}, Audiences: []string{b.audience}, PKCE: clients.PKCERequired,
	}
	for _, s := range Scopes {
		c.Scopes = append(c.Scopes, s.Name)
	}
	is, err := b.registry.Stored(ctx, LoginClient)
	if errors.Is(err, clients.ErrNotFound) {
		_, _, err = b.registry.Create(ctx, c, "", reason, by.Actor)
		return err
	}
	if err != nil {
		return err
	}
	if !slices.Equal(is.RedirectURIs, c.RedirectURIs) || is.Auth != c.Auth {
		return fmt.Errorf("%w: there is a client %s that is another one: delete it first", clients.ErrExists, LoginClient)
	}
	_, _, err = b.registry.Update(ctx, LoginClient, func(known *clients.Client) error {
		known.Scopes, known.Audiences = c.Scopes, c.Audiences
		return nil
	}, reason, by.Actor)
	return err
}
