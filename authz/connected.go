package authz

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
)

// Connected lists the applications that have access to a user's data.
type Connected struct {
	registry *clients.Registry
	rules    *grants.Rules
	consents *consents.Consents
	grants   holdings
	now      func() time.Time
}

// holdings reads which grants of a user the clients have.
type holdings interface {
	// Holdings returns one entry for each client, ordered by client, in one statement.
	Holdings(ctx context.Context, user string, now time.Time) ([]consents.Holding, error)
}

// NewConnected returns the list of connected applications, made with what it reads from.
func NewConnected(registry *clients.Registry, rules *grants.Rules, consents *consents.Consents, held holdings, now func() time.Time) *Connected {
	return &Connected{registry, rules, consents, held, now}
}

// Of returns, ordered by name, the applications that a user has allowed something, and
// those that have access without having to ask. A deleted application is among them
// only while the user's consent to it is still stored and can be taken back.
//
// It costs two statements, however many applications and grants there are, as long
// as clients and APIs are in memory.
func (c *Connected) Of(ctx context.Context, user string) ([]consents.Connection, error) {
	return c.connected(ctx, user, func(string) bool { return true })
}

// To returns what Of returns, but for one client only.
func (c *Connected) To(ctx context.Context, user, client string) ([]consents.Connection, error) {
	return c.connected(ctx, user, func(id string) bool { return id == client })
}

func (c *Connected) connected(ctx context.Context, user string, asked func(client string) bool) ([]consents.Connection, error) {
	allowed, err := c.consents.Of(ctx, user)
	if err != nil {
		return nil, err
	}
	holdings, err := c.grants.Holdings(ctx, user, c.now())
	if err != nil {
		return nil, err
	}
	var connected []consents.Connection
	for _, consent := range allowed {
		if !asked(consent.ClientID) {
			continue
		}
		var held consents.Holding
		if i := slices.IndexFunc(holdings, func(h consents.Holding) bool { return h.ClientID == consent.ClientID }); i >= 0 {
			held = holdings[i]
			holdings = slices.Delete(holdings, i, i+1)
		}
		if held.Since.IsZero() || consent.GrantedAt.Before(held.Since) {
			held.Since = consent.GrantedAt
		}
		held.ClientID = consent.ClientID
		connection, _, err := c.connection(ctx, held, permission.ParseAll(consent.Scopes))
		if err != nil {
			return nil, err
		}
		connected = append(connected, connection)
	}
	for _, held := range holdings {
		if held.Since.IsZero() || !asked(held.ClientID) {
			continue // it has no access any more
		}
		connection, found, err := c.connection(ctx, held, nil)
		if err != nil {
			return nil, err
		}
		if found {
			connected = append(connected, connection)
		}
	}
	slices.SortStableFunc(connected, func(a, b consents.Connection) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ClientID, b.ClientID))
	})
	return connected, nil
}

// connection returns what the user is shown of a client that was allowed something, and
// whether there is such a client.
func (a *Connected) connection(ctx context.Context, held consents.Holding, allowed []permission.Permission) (c consents.Connection, found bool, err error) {
	c = consents.Connection{ClientID: held.ClientID, Name: held.ClientID, Since: held.Since, LastUsed: held.LastUsed}
	client, err := a.registry.Client(ctx, held.ClientID)
	if errors.Is(err, clients.ErrNotFound) {
		return c, false, nil
	}
	if err != nil {
		return consents.Connection{}, false, err
	}
	c.Name, c.Home, c.Disabled = client.Name, client.Home(), client.Disabled
	for _, g := range held.Granted {
		recorded, err := a.rules.Recorded(ctx, g)
		if err != nil {
			return consents.Connection{}, false, err
		}
		for _, p := range recorded {
			if !slices.Contains(allowed, p) {
				allowed = append(allowed, p)
			}
		}
	}
	left, err := a.rules.LeftToShow(ctx, client, allowed)
	if err != nil {
		return consents.Connection{}, false, err
	}
	c.Permissions = permission.Texts(left)
	return c, true, nil
}
