package authz

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
)

// Connection is an application that a user allowed something.
type Connection struct {
	accounts.Consent
	// Name is the application's.
	Name string
}

// Connected returns the applications that a user allowed something.
func (a *Authority) Connected(ctx context.Context, user string) ([]Connection, error) {
	consents, err := a.Consents.Of(ctx, user)
	if err != nil {
		return nil, err
	}
	var connected []Connection
	for _, c := range consents {
		name := c.ClientID
		client, err := a.Directory.Client(ctx, c.ClientID)
		if err == nil {
			name = client.Name
		} else if !errors.Is(err, clients.ErrNotFound) {
			return nil, err
		}
		connected = append(connected, Connection{c, name})
	}
	return connected, nil
}
