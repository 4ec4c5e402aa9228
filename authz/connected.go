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
)

// Connection is an application that has access to something of a user's.
type Connection struct {
	// ClientID is what Consents.TakeBack is asked for.
	ClientID string
	// Name is what the application calls itself, and Home the host by which people
	// know it, such as print.example.com; empty for an application on a device.
	Name, Home string
	// Disabled applications have no access for now: they have it back when they are
	// enabled.
	Disabled bool
	// Since is for how long it has had access: when the user first allowed it
	// something or, if that is earlier or nobody was asked, when the oldest grant was
	// made by which it has access.
	Since time.Time
	// LastUsed is when it last used it, which is when it was last issued tokens as
	// far as that is stored; zero if it never was, or so long ago that no grant of
	// that time is left.
	LastUsed time.Time
	// Permissions are as those of an authorization request: of all that was allowed, or
	// granted without asking, what the client may still have and its APIs still offer.
	// There may be none left. What is given back to the client is back.
	Permissions []string
}

// Connected is the applications that have access to what is a user's.
type Connected struct {
	registry *clients.Registry
	rules    *grants.Rules
	consents *consents.Consents
	grants   holdings
	now      func() time.Time
}

// holdings tells what clients hold of a user.
type holdings interface {
	// Holdings returns it, ordered by client, in one statement.
	Holdings(ctx context.Context, user string, now time.Time) ([]grants.Holding, error)
}

// NewConnected returns it.
func NewConnected(registry *clients.Registry, rules *grants.Rules, consents *consents.Consents, held holdings, now func() time.Time) *Connected {
	return &Connected{registry, rules, consents, held, now}
}

// Of returns the applications that a user allowed something, and those
// that did not have to ask and have access, by name. An application that was deleted
// is among them only while something is left of it to be taken back.
//
// It costs two statements, however many applications and grants there are, as long
// as clients and APIs are in memory.
func (c *Connected) Of(ctx context.Context, user string) ([]Connection, error) {
	return c.connected(ctx, user, func(string) bool { return true })
}

// To is that of what Of returns which is about one client.
func (c *Connected) To(ctx context.Context, user, client string) ([]Connection, error) {
	return c.connected(ctx, user, func(id string) bool { return id == client })
}

func (c *Connected) connected(ctx context.Context, user string, asked func(client string) bool) ([]Connection, error) {
	allowed, err := c.consents.Of(ctx, user)
	if err != nil {
		return nil, err
	}
	holdings, err := c.grants.Holdings(ctx, user, c.now())
	if err != nil {
		return nil, err
	}
	var connected []Connection
	for _, consent := range allowed {
		if !asked(consent.ClientID) {
			continue
		}
		var held grants.Holding
		if i := slices.IndexFunc(holdings, func(h grants.Holding) bool { return h.ClientID == consent.ClientID }); i >= 0 {
			held = holdings[i]
			holdings = slices.Delete(holdings, i, i+1)
		}
		if held.Since.IsZero() || consent.GrantedAt.Before(held.Since) {
			held.Since = consent.GrantedAt
		}
		held.ClientID = consent.ClientID
		connection, _, err := c.connection(ctx, held, grants.ParsePermissions(consent.Scopes))
		if err != nil {
			return nil, err
		}
		connected = append(connected, connection)
	}
	for _, held := range holdings {
		if held.Since.IsZero() || !asked(held.ClientID) {
			continue // it had access
		}
		connection, found, err := c.connection(ctx, held, nil)
		if err != nil {
			return nil, err
		}
		if found {
			connected = append(connected, connection)
		}
	}
	slices.SortStableFunc(connected, func(a, b Connection) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ClientID, b.ClientID))
	})
	return connected, nil
}

// connection is what is shown of a client that was allowed something, and whether
// there is such a client.
func (a *Connected) connection(ctx context.Context, held grants.Holding, allowed []grants.Permission) (c Connection, found bool, err error) {
	c = Connection{ClientID: held.ClientID, Name: held.ClientID, Since: held.Since, LastUsed: held.LastUsed}
	client, err := a.registry.Client(ctx, held.ClientID)
	if errors.Is(err, clients.ErrNotFound) {
		return c, false, nil
	}
	if err != nil {
		return Connection{}, false, err
	}
	c.Name, c.Home, c.Disabled = client.Name, client.Home(), client.Disabled
	for _, g := range held.Granted {
		recorded, err := a.rules.Recorded(ctx, g)
		if err != nil {
			return Connection{}, false, err
		}
		for _, p := range recorded {
			if !slices.Contains(allowed, p) {
				allowed = append(allowed, p)
			}
		}
	}
	left, err := a.rules.LeftToShow(ctx, client, allowed)
	if err != nil {
		return Connection{}, false, err
	}
	c.Permissions = grants.Permissions(left)
	return c, true, nil
}
