package clients

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

var (
	// ErrNotFound: there is no client with that id.
	ErrNotFound = errors.New("no such client")
	// ErrExists: the client id is taken.
	ErrExists = errors.New("a client with this id exists")
	// ErrUnknownAudience: the client names an audience that no API has.
	ErrUnknownAudience = errors.New("no API has this audience")
	// ErrIsAudience: ID tokens for the client would look like access tokens for an
	// API.
	ErrIsAudience = errors.New("an API has this id as its audience and takes tokens of type JWT: ID tokens for the client would pass for access tokens; choose another id")
	// ErrSecretNotFound: the client has no secret with that id.
	ErrSecretNotFound = errors.New("the client has no such secret")
	// ErrTooManySecrets: two secrets are live already.
	ErrTooManySecrets = errors.New("the client already has two live secrets; remove one first")
	// ErrLastSecret: removing it would lock the client out.
	ErrLastSecret = errors.New("this is the client's only secret; add its successor first")
	// ErrInvalid: a field of the client is not acceptable; the error says
	// which.
	ErrInvalid = errors.New("invalid client registration")
)

// MaxSecrets is how many secrets of one client can be live at once: the one in
// use and, during a rotation, its successor.
const MaxSecrets = 2

// AuthMethod is how a client said, when it was registered, that it authenticates
// (`token_endpoint_auth_method`, RFC 7591 section 2). What counts is whether it has
// a secret: where it puts one is up to its library.
type AuthMethod string

// The methods there are. The two with a secret are one to this server.
const (
	SecretBasic AuthMethod = "client_secret_basic"
	SecretPost  AuthMethod = "client_secret_post"
	// None is a public client: it cannot keep a secret (RFC 6749 section 2.1).
	None AuthMethod = "none"
)

// Hold is how a client that signs people in by itself (SignIn) holds refresh
// tokens.
type Hold string

// The ways there are.
const (
	// HoldMemory: it is given them, and keeps them where no other app reads.
	HoldMemory Hold = "memory"
	// HoldCookie: the browser keeps them, where no script reads.
	HoldCookie Hold = "cookie"
)

// Client is an application that is registered to ask for tokens.
type Client struct {
	// ID is the client_id, compared byte by byte.
	ID string
	// Name is what people are shown.
	Name string
	// Grants are the grant types that the client may use.
	Grants []string
	// RedirectURIs are compared exactly (RFC 9700 section 2.1), but for the port of
	// a loopback address.
	RedirectURIs []string
	// InsecureRedirects is whether it may be answered over the network without TLS.
	InsecureRedirects bool
	// Scopes are what the client may ask for.
	Scopes []string
	// Audiences are the APIs that the client may ask for; the first is what a
	// request that names none gets.
	Audiences []string
	// Introspects are the audiences of the APIs that the client is: it may introspect
	// the tokens that are for them, and listen to the status stream. They are sorted.
	Introspects []string
	Auth        AuthMethod
	// PKCE is what it must send with an authorization request.
	PKCE PKCE
	// PostLogoutRedirectURIs are where it may return people to after sign-out
	// (OpenID Connect RP-Initiated Logout 1.0 section 3); if there are none, to its
	// RedirectURIs.
	PostLogoutRedirectURIs []string
	// RefreshGrace is for how long a refresh token may be used again after its
	// successor was made, with the same answer; nil means the server's default.
	RefreshGrace *time.Duration
	// NoRefreshIDToken is whether a refresh brings no ID token.
	NoRefreshIDToken bool
	// NoIDTokenClaims is whether its ID tokens tell no more of the user than who it
	// is: the rest is at userinfo.
	NoIDTokenClaims bool
	// IDTokenSigning is by which algorithm its ID tokens are signed
	// (id_token_signed_response_alg, OpenID Connect Registration 1.0 section 2).
	IDTokenSigning apis.Signing
	// FirstParty clients belong to whoever runs the server.
	FirstParty bool
	// Hold is how a client that signs people in by itself holds refresh tokens,
	// and Origins are the web origins that it does so from.
	Hold     Hold
	Origins  []string
	Disabled bool
	// Epoch is the number of the change that created or last cut the client.
	// A token made under a lower number does not stand.
	Epoch     changes.Number
	Secrets   []Secret
	CreatedAt time.Time
}

// Secret is one live secret of a client, as stored: 256 random bits need no
// slow hash, which protects what can be guessed.
type Secret struct {
	// ID tells two live secrets apart; it reveals nothing of the secret.
	ID string
	// Hash is the SHA-256 of the secret.
	Hash      [32]byte
	CreatedAt time.Time
	// UsedAt is the beginning of the hour in which it was last used; zero for never.
	UsedAt time.Time
}

// Store keeps clients.
type Store interface {
	// Client returns one with its secrets, or ErrNotFound.
	Client(ctx context.Context, id string) (Client, error)
	// Clients returns all of them, ordered by id.
	Clients(ctx context.Context) ([]Client, error)
	// CreateClient stores a new client, its epoch being the number of this
	// change: should the id have been used before, no token of its former
	// owner comes back to life. Returns ErrExists if the id is taken, ErrIsAudience,
	// and ErrUnknownAudience, naming it, if an API is missing at commit.
	CreateClient(ctx context.Context, c Client, ev audit.Event) error
	// UpdateClient lets edit change a client as it is when no other editor can
	// come in between, given all APIs as they are then, and stores what it is
	// registered for with the event that edit returns; if it returns none, nothing
	// is stored. Id, authentication, secrets, state and epoch stay. edit may be
	// called again, if the first transaction had to give way, and must not ask the
	// database. Returns ErrNotFound, ErrUnknownAudience, or what edit returned.
	UpdateClient(ctx context.Context, id string, edit func(*Client, []apis.API) (*audit.Event, error)) error
	// SetClientDisabled returns ErrNotFound if there is no such client, and
	// changes nothing (no event either) if it already is as asked.
	SetClientDisabled(ctx context.Context, id string, disabled bool, ev audit.Event) error
	// DeleteClient removes the client and its secrets, unless allow, which may be nil,
	// returns an error for the client as it is then. Returns that error, or ErrNotFound.
	DeleteClient(ctx context.Context, id string, allow func(Client) error, ev audit.Event) error
	// AddClientSecret returns ErrNotFound or ErrTooManySecrets; two calls at
	// once do not make three secrets.
	AddClientSecret(ctx context.Context, id string, s Secret, ev audit.Event) error
	// RemoveClientSecret returns ErrNotFound, ErrSecretNotFound or
	// ErrLastSecret; two calls at once do not remove both secrets. An empty
	// secretID means the older of two. Which it was is returned without its hash, and
	// in the details of the event: secret_id, and secret_added, when that was.
	RemoveClientSecret(ctx context.Context, id, secretID string, ev audit.Event) (Secret, error)
	// NoteSecretUses stores when secrets were last used. It is no change: nobody has to know
	// of it. Secrets that are gone, or for which a later time is stored, are left out.
	NoteSecretUses(ctx context.Context, at map[SecretRef]time.Time) error
}
