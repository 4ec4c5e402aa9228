package catalog

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
)

var (
	// ErrNotFound: there is no API with that audience.
	ErrNotFound = errors.New("no such API")
	// ErrExists: another API has this audience.
	ErrExists = errors.New("an API with this audience exists")
	// ErrInUse: clients still name the audience; the error says which clients.
	ErrInUse = errors.New("the API is still named by clients")
	// ErrIsClient: a client has the API's audience as its id, so that ID tokens for the
	// client could be used as access tokens for the API.
	ErrIsClient = errors.New("a client has this audience as its id, and ID tokens for it would pass for access tokens: with token type JWT the audience must not be a client's id")
)

// Store keeps APIs.
type Store interface {
	// APIs returns all APIs, ordered by audience.
	APIs(ctx context.Context) ([]apis.API, error)
	// CreateAPI stores a new API. Returns ErrIsClient, or ErrExists if there is an API
	// with that audience in any of its spellings.
	CreateAPI(ctx context.Context, a apis.API, ev audit.Event) error
	// UpdateAPI reads the API with that audience, lets edit change it, and stores its
	// name, scopes, token life and options with the event that edit returns, all in one
	// transaction that no other editor can interrupt. If edit returns no event, nothing
	// is stored. edit may be called again, if the first transaction was rolled back, and
	// must not use the database. Returns ErrNotFound, or what edit returned.
	UpdateAPI(ctx context.Context, audience string, edit func(*apis.API) (*audit.Event, error)) error
	// DeleteAPI removes an API. Returns ErrNotFound, ErrInUse if clients name the audience
	// when the transaction commits, or what allow returns of the API as it is then; nil
	// allows it. allow may be called again, and must not use the database.
	DeleteAPI(ctx context.Context, audience string, allow func(apis.API) error, ev audit.Event) error
}
