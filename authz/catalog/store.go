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
	// ErrExists: the audience is taken.
	ErrExists = errors.New("an API with this audience exists")
	// ErrInUse: clients still name the audience; the error says which.
	ErrInUse = errors.New("the API is still named by clients")
	// ErrIsClient: tokens for the API would look like ID tokens for a client.
	ErrIsClient = errors.New("a client has this audience as its id, and ID tokens for it would pass for access tokens: with token type JWT the audience must not be a client's id")
)

// Store keeps APIs.
type Store interface {
	// APIs returns all of them, ordered by audience.
	APIs(ctx context.Context) ([]apis.API, error)
	// CreateAPI stores a new API. Returns ErrIsClient, or ErrExists if the audience is taken, in
	// any of its Spellings.
	CreateAPI(ctx context.Context, a apis.API, ev audit.Event) error
	// UpdateAPI lets edit change the API with that audience as it is when no
	// other editor can come in between, and stores its name, scopes, life and
	// options with the event that edit returns; if it returns none, nothing is
	// stored. edit may be called again, if the first transaction had to give way,
	// and must not ask the database. Returns ErrNotFound, or what edit returned.
	UpdateAPI(ctx context.Context, audience string, edit func(*apis.API) (*audit.Event, error)) error
	// DeleteAPI removes it. Returns ErrNotFound, or ErrInUse if clients
	// name the audience at commit.
	DeleteAPI(ctx context.Context, audience string, ev audit.Event) error
}
