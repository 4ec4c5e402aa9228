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
		api, err := b.ensureAPI(ctx, by, reason)
		if err != nil {
			return err
		}
		client, err := b.ensureClient(ctx, by, reason)
		if err != nil {
			return err
		}
		made, created, err = b.appoint(ctx, by, u, password, reason)
		if errors.Is(err, ErrBegun) && made.ID != "" && (api || client) {
			return nil
		}
		return err
	})
	return made, created, err
}

// ensureAPI registers the API of the administration with all scopes of this version, and
// reports whether something was missing.
func (b *Beginning) ensureAPI(ctx context.Context, by Caller, reason string) (changed bool, err error) {
	api := apis.API{Audience: b.audience, Name: apiName, TokenType: apis.ATJWT, ScopeTexts: apis.ScopeTexts{}}
	for _, s := range Scopes {
		api.Scopes = append(api.Scopes, s.Name)
		api.ScopeTexts[s.Name] = map[string]string{"en": s.Text, "ko": korean[s.Name]}
	}
	is, err := b.catalog.Administration(ctx)
	switch {
	case errors.Is(err, catalog.ErrNotFound):
		_, err = b.catalog.CreateAdministration(ctx, api, "", reason, by.Actor)
		return true, err
	case err != nil:
		return false, err
	case is.Audience != b.audience:
		return true, b.move(ctx, by, is, api, reason)
	}
	// An older version made it, which knew fewer scopes.
	_, changed, err = b.catalog.Update(ctx, b.audience, func(a *apis.API) error {
		a.Scopes, a.ScopeTexts = api.Scopes, api.ScopeTexts
		return nil
	}, reason, by.Actor)
	return changed, err
}

// move registers the API of the administration anew, for another issuer, with the clients
// that had the former one. The tokens of these ended when the issuer was changed.
func (b *Beginning) move(ctx context.Context, by Caller, former, api apis.API, reason string) error {
	api.AccessTTL = former.AccessTTL
	if _, err := b.catalog.CreateAdministration(ctx, api, former.Audience, reason, by.Actor); err != nil {
		return err
	}
	all, err := b.registry.List(ctx)
	if err != nil {
		return err
	}
	moved := func(audiences []string) []string {
		audiences = slices.Clone(audiences)
		for i, audience := range audiences {
			if audience == former.Audience {
				audiences[i] = api.Audience
			}
		}
		return audiences
	}
	for _, c := range all {
		if !slices.Contains(slices.Concat(c.Audiences, c.Introspects), former.Audience) {
			continue
		}
		_, _, err := b.registry.Update(ctx, c.ID, func(known *clients.Client) error {
			known.Audiences, known.Introspects = moved(known.Audiences), moved(known.Introspects)
			return nil
		}, reason, by.Actor)
		if err != nil {
			return named("client "+c.ID, err)
		}
	}
	return b.catalog.Delete(ctx, former.Audience, nil, reason, by.Actor)
}

// appoint gives a user the role All, and creates them if they are not there yet. With
// ErrBegun it returns the user if they are an administrator themselves.
func (b *Beginning) appoint(ctx context.Context, by Caller, u accounts.User, password, reason string) (accounts.User, bool, error) {
	is, err := b.users.ByName(ctx, u.Username)
	missing := errors.Is(err, accounts.ErrNotFound)
	if err != nil && !missing {
		return u, false, err
	}
	holders, errOfList := b.users.List(ctx, accounts.Query{Role: All})
	if errOfList != nil {
		return u, false, errOfList
	}
	holders = slices.DeleteFunc(holders, func(u accounts.User) bool { return u.Disabled })
	switch {
	case slices.ContainsFunc(holders, func(u accounts.User) bool { return u.ID == is.ID }):
		return is, false, ErrBegun
	case len(holders) > 0:
		return accounts.User{}, false, ErrBegun
	case missing && password == "":
		return u, false, err
	case missing:
		u.Roles = []string{All}
		made, err := b.users.Create(ctx, u, password, by.Actor)
		return made, true, err
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
// It reports whether something was missing.
func (b *Beginning) ensureClient(ctx context.Context, by Caller, reason string) (changed bool, err error) {
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
		return true, err
	}
	if err != nil {
		return false, err
	}
	if !slices.Equal(is.RedirectURIs, c.RedirectURIs) || is.Auth != c.Auth {
		return false, fmt.Errorf("%w: there is a client %s that is another one: delete it first", clients.ErrExists, LoginClient)
	}
	_, changed, err = b.registry.Update(ctx, LoginClient, func(known *clients.Client) error {
		known.Scopes, known.Audiences = c.Scopes, c.Audiences
		return nil
	}, reason, by.Actor)
	return changed, err
}
