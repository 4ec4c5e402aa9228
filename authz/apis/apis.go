package apis

import (
	"context"
	"errors"
	"time"

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
	// ErrInvalid: a field of the API is not acceptable; the error says which.
	ErrInvalid = errors.New("invalid API")
)

// TokenType is the `typ` in the header of access tokens.
type TokenType string

// The types there are.
const (
	// ATJWT is that of RFC 9068 section 2.1, which no other kind of token has.
	ATJWT TokenType = "at+jwt"
	// PlainJWT is for verifiers that take no other. ID tokens have it too: their
	// audience is the id of a client, so that of the API must not be one.
	PlainJWT TokenType = "JWT"
)

// API is a resource server as a record.
type API struct {
	// ID is made at creation and never changes.
	ID string
	// Audience is what tokens for this API carry in `aud`. Who checks one compares
	// it byte by byte; who asks for one may use either of its Spellings.
	Audience string
	// Name is what people are shown.
	Name string
	// Scopes are what the API offers.
	Scopes []string
	// ScopeTexts say what these allow. Who is to be told asks ScopeText.
	ScopeTexts ScopeTexts
	// AccessTTL is the life of an access token for this API; zero means the
	// server's default.
	AccessTTL time.Duration
	// Roles is whether access tokens for this API carry the roles of the user
	// (RFC 9068 section 2.2.3.1).
	Roles bool
	// TokenType is the `typ` of access tokens for this API.
	TokenType TokenType
	CreatedAt time.Time
}

// Store keeps APIs.
type Store interface {
	// APIs returns all of them, ordered by audience.
	APIs(ctx context.Context) ([]API, error)
	// CreateAPI stores a new API. Returns ErrIsClient, or ErrExists if the audience is taken, in
	// any of its Spellings.
	CreateAPI(ctx context.Context, a API, ev audit.Event) error
	// UpdateAPI lets edit change the API with that audience as it is when no
	// other editor can come in between, and stores its name, scopes, life and
	// options with the event that edit returns; if it returns none, nothing is
	// stored. edit may be called again, if the first transaction had to give way,
	// and must not ask the database. Returns ErrNotFound, or what edit returned.
	UpdateAPI(ctx context.Context, audience string, edit func(*API) (*audit.Event, error)) error
	// DeleteAPI removes it. Returns ErrNotFound, or ErrInUse if clients
	// name the audience at commit.
	DeleteAPI(ctx context.Context, audience string, ev audit.Event) error
}
