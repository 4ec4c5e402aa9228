package authz

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/grants"
)

// mostHolders is how many users a page of the access of a client looks at. Each takes two
// statements.
const mostHolders = 200

// holders reads who may have given a client access.
type holders interface {
	// Holders returns, ordered by user name, the users who gave a client their consent or
	// who have a stored grant to it, from the first one after a name.
	Holders(ctx context.Context, client, after string) iter.Seq2[consents.Holder, error]
}

// Access says which clients have access to what of which users, as the account page does for
// its user.
type Access struct {
	connected *Connected
	users     grants.Names
	registry  *clients.Registry
	holders   holders
}

// NewAccess returns who has access to what, made with what it reads from.
func NewAccess(connected *Connected, users grants.Names, registry *clients.Registry, holders holders) *Access {
	return &Access{connected, users, registry, holders}
}

// Page returns the access of all clients for a user, ordered by name, or that of one client;
// without a user that of the client for every user, ordered by user name. It returns
// consents.ErrNobody, accounts.ErrNotFound or clients.ErrNotFound.
func (a *Access) Page(ctx context.Context, q consents.AccessQuery) (page consents.AccessPage, err error) {
	if q.User == "" && q.ClientID == "" {
		return page, consents.ErrNobody
	}
	if q.ClientID != "" {
		client, err := a.registry.Stored(ctx, q.ClientID)
		if err != nil {
			return page, field.At(err, "client")
		}
		if q.After == "" && slices.Contains(client.Grants, clients.ClientCredentials) {
			page.Own = client.Scopes
		}
	}
	if q.User == "" {
		return page, a.byClient(ctx, q, &page)
	}
	u, err := a.users.Find(ctx, q.User)
	if err != nil {
		return page, field.At(err, "user")
	}
	return page, a.ofUser(ctx, u, q, &page)
}

func (a *Access) ofUser(ctx context.Context, u accounts.User, q consents.AccessQuery, page *consents.AccessPage) error {
	read := func() ([]consents.Connection, error) { return a.connected.Of(ctx, u.ID) }
	if q.ClientID != "" {
		read = func() ([]consents.Connection, error) { return a.connected.To(ctx, u.ID, q.ClientID) }
	}
	all, err := read()
	if err != nil {
		return err
	}
	key := func(c consents.Connection) string { return strings.ToLower(c.Name) + "\n" + c.ClientID }
	for _, c := range all {
		switch {
		case q.After != "" && key(c) <= q.After:
		case len(page.List) == q.Limit:
			page.Next = key(page.List[q.Limit-1].Connection)
			return nil
		default:
			page.List = append(page.List, consents.Access{User: consents.Holder{UserID: u.ID, Username: u.Username, Disabled: u.Disabled}, Connection: c})
		}
	}
	return nil
}

func (a *Access) byClient(ctx context.Context, q consents.AccessQuery, page *consents.AccessPage) error {
	looked, last := 0, ""
	for of, err := range a.holders.Holders(ctx, q.ClientID, q.After) {
		if err != nil {
			return err
		}
		if len(page.List) == q.Limit || looked == mostHolders {
			page.Next = last
			return nil
		}
		connections, err := a.connected.To(ctx, of.UserID, q.ClientID)
		if err != nil {
			return err
		}
		for _, c := range connections {
			page.List = append(page.List, consents.Access{User: of, Connection: c})
		}
		looked, last = looked+1, of.Username
	}
	return nil
}
