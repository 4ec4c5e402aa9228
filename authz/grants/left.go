package grants

import (
	"context"
	"errors"
	"slices"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
)

// Recorded returns what a user allowed. Where that was not recorded, it follows
// from what the APIs offer now.
func (c *Rules) Recorded(ctx context.Context, g permission.Granted) ([]permission.Permission, error) {
	if g.Permissions != nil {
		return g.Permissions, nil
	}
	targets, err := c.known(ctx, g.Audiences)
	if err != nil {
		return nil, err
	}
	recorded := []permission.Permission{}
	for _, scope := range g.Scopes {
		switch {
		case apis.AlwaysOwn(scope): // there were no others
			recorded = append(recorded, permission.Permission{Scope: scope})
		case len(targets) == 0 && slices.Contains(g.Audiences, c.Issuer):
			recorded = append(recorded, permission.Permission{Audience: c.Issuer, Scope: scope})
		default:
			recorded = append(recorded, offering(targets, scope)...)
		}
	}
	return recorded, nil
}

// Left returns what is left of what a user allowed a client: what the client is
// still registered for and its APIs still offer. The record stays as it is, so
// that a client has back what was taken from it or from an API and is given back. If
// nothing is left, the request is refused.
func (c *Rules) Left(ctx context.Context, client *clients.Client, g permission.Granted) (Allowance, error) {
	recorded, err := c.Recorded(ctx, g)
	if err != nil {
		return Allowance{}, err
	}
	now, err := c.Registered(ctx, client)
	if err == nil && c.Clients != nil && now.lacks(recorded, g.Audiences, c.Issuer) {
		// Before something is refused the database is asked: a copy in memory may not
		// have yet what was given a moment ago.
		now, err = c.stored(ctx, client)
	}
	if err != nil {
		return Allowance{}, err
	}
	left := Allowance{all: true}
	for _, audience := range g.Audiences {
		i := slices.IndexFunc(now.targets, func(a apis.API) bool { return a.Audience == audience })
		switch {
		case i >= 0:
			left.targets = append(left.targets, now.targets[i])
		case audience == c.Issuer: // which no client has to name
			left.targets = append(left.targets, apis.API{Audience: c.Issuer})
		}
	}
	left.Permissions = now.among(recorded)
	// What is not recorded, and no API offers, is not among these.
	allowed := len(g.Scopes) > 0 || len(recorded) > 0
	if len(left.Permissions) == 0 && (allowed || len(left.targets) == 0) {
		return Allowance{}, protocol.Refuse(protocol.InvalidGrant, "Nothing is left of what was allowed: the scopes or the APIs of the client, or what these offer, were changed.")
	}
	if len(left.targets) == 0 {
		// What is left is the server's own: for userinfo, say.
		left.targets = []apis.API{{Audience: c.Issuer}}
	}
	return left, nil
}

// LeftOf returns what is left of an access token of a client: of the audiences and
// scopes that it was issued for, with the permissions that its grant recorded, if it
// has one. Nothing is nil.
func (c *Rules) LeftOf(ctx context.Context, client *clients.Client, token permission.Granted) (audiences, scopes []string, err error) {
	left, err := c.Left(ctx, client, token)
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	for _, api := range left.targets {
		if slices.Contains(token.Audiences, api.Audience) {
			audiences = append(audiences, api.Audience)
		}
	}
	for _, scope := range token.Scopes {
		if counts, clear := left.at(left.targets, scope); len(counts) > 0 && clear {
			scopes = append(scopes, scope)
		}
	}
	return audiences, scopes, nil
}

// MayOutlive reports whether a client may still have grants that outlive their login
// session: whether offline_access is left to it.
func (c *Rules) MayOutlive(ctx context.Context, client *clients.Client) (bool, error) {
	_, err := c.Left(ctx, client, permission.Granted{Permissions: []permission.Permission{{Scope: apis.OfflineAccess}}})
	var refused *protocol.Error
	if errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}

// LeftToShow returns what is left of what a user allowed a client, in any number of
// grants, for a page. Unlike Left it asks the copies in memory alone, so that a page
// about many clients costs no statement for each: what was given back a moment ago
// may be missing until they are fresh again.
func (c *Rules) LeftToShow(ctx context.Context, client *clients.Client, allowed []permission.Permission) ([]permission.Permission, error) {
	now, err := c.Registered(ctx, client)
	return now.among(allowed), err
}

// stored is Registered by what the database has at this moment.
func (c *Rules) stored(ctx context.Context, client *clients.Client) (Allowance, error) {
	now, err := c.Clients.Stored(ctx, client.ID)
	if errors.Is(err, clients.ErrNotFound) {
		now, err = client, nil // which ends more than this can tell
	}
	if err != nil {
		return Allowance{}, err
	}
	all, err := c.APIs.List(ctx)
	if err != nil {
		return Allowance{}, err
	}
	var targets []apis.API
	for _, audience := range now.Audiences {
		for _, api := range all {
			if api.Audience == audience {
				targets = append(targets, api)
			}
		}
	}
	return c.registered(now, targets), nil
}
