package listeners

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

var (
	// ErrNotFound: there is no such listener, or it is another client's.
	ErrNotFound = errors.New("no such listener")
	// ErrTooMany: the client has Most listeners already.
	ErrTooMany = errors.New("the client has too many listeners")
)

// Most is how many listeners a client may have on all servers together: whoever has
// an API's secret must not fill the database.
const Most = 1000

// Unseen is after how long a listener that nobody has seen is taken to be gone.
// One that was cut off goes by what it knows for a while, and must not be taken
// for one that is not there.
const Unseen = 30 * time.Second

// Listener is a connection over which a verifier listens to the stream.
type Listener struct {
	// ID is of this connection alone.
	ID, ClientID string
	// Name is what people call the verifier. Replicas of an API may share it.
	Name string
	// Instance tells the process from its replicas, over all its connections; empty
	// where the verifier does not say.
	Instance            string
	ConnectedAt, SeenAt time.Time
	Acknowledged        changes.Number
}

// Store keeps who listens.
type Store interface {
	// SaveListener stores a listener, in place of the former connection of its
	// instance. Where it does not say which instance it is, and resumes, it takes
	// the place of another of its name that does not say so either: of the one that
	// has acknowledged most, so that no lack of an acknowledgement is forgotten. Those
	// of the client that are Unseen are forgotten. Returns ErrTooMany.
	// When it was seen is by the database's clock, here and below.
	SaveListener(ctx context.Context, l Listener, resumes bool) error
	// ResetListener forgets what a listener has acknowledged. Returns ErrNotFound.
	ResetListener(ctx context.Context, id string) error
	// SeeListeners notes that these are still connected, and returns those that are
	// not known any more.
	SeeListeners(ctx context.Context, ids []string) (gone []string, err error)
	// RemoveListener forgets a listener that leaves. Returns ErrNotFound.
	RemoveListener(ctx context.Context, id, client string) error
	// Acknowledge notes what a listener has applied. Returns ErrNotFound.
	Acknowledge(ctx context.Context, id, client string, n changes.Number) error
	// ChangeNumber returns the number of the last committed change.
	ChangeNumber(ctx context.Context) (changes.Number, error)
}

// Acknowledged is what Await asks.
type Acknowledged interface {
	// LastCut returns the number of the last change that may have ended what was
	// issued.
	LastCut(ctx context.Context) (changes.Number, error)
	// Listeners returns those seen within that time, ordered by client and name.
	Listeners(ctx context.Context, within time.Duration) ([]Listener, error)
}
