package authz

import (
	"context"
	"errors"
	"slices"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
)

// Connection is an application that has access to something of a user's.
type Connection struct {
	ClientID, Name string
	// Permissions are as AuthorizeRequest.Permissions.
	Permissions []string
}

// Connected returns the applications that a user allowed something, and those
// that did not have to ask and have access now.
func (a *Authority) Connected(ctx context.Context, user string) ([]Connection, error) {
	consents, err := a.Consents.Of(ctx, user)
	if err != nil {
		return nil, err
	}
	var connected []Connection
	for _, c := range consents {
		connected = append(connected, Connection{ClientID: c.ClientID, Permissions: c.Scopes})
	}
	live, err := a.Store.Grants(ctx, grants.Query{UserID: user}, a.Now())
	if err != nil {
		return nil, err
	}
	for _, g := range live {
		known := slices.ContainsFunc(connected, func(c Connection) bool { return c.ClientID == g.ClientID })
		if !g.Stands || known {
			continue
		}
		recorded, err := a.Rules.Recorded(ctx, g.Granted())
		if err != nil {
			return nil, err
		}
		connected = append(connected, Connection{ClientID: g.ClientID, Permissions: grants.Permissions(recorded)})
	}
	for i, c := range connected {
		connected[i].Name = c.ClientID
		client, err := a.Directory.Client(ctx, c.ClientID)
		if err == nil {
			connected[i].Name = client.Name
		} else if !errors.Is(err, clients.ErrNotFound) {
			return nil, err
		}
	}
	return connected, nil
}
