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

// Most is how many listeners a client may have, on all instances together: somebody who
// has an API's secret must not be able to fill the database.
const Most = 1000

// Unseen is how long after it was last connected a listener counts as gone. It must not
// count as gone earlier: a verifier that has lost its connection goes on accepting tokens
// for a while by what it knows, so a revocation has to wait for it.
const Unseen = 30 * time.Second

// Listener is a connection over which a verifier listens to the stream.
type Listener struct {
	// ID identifies this one connection.
	ID, ClientID string
	// SecretID is the id of the client's secret that opened the connection. It is not
	// stored: the process that has the connection alone needs it.
	SecretID string
	// Name is a name of the verifier for people. Replicas of an API may share it.
	Name string
	// Instance distinguishes the process from its replicas, and is the same for all of
	// its connections; empty if the verifier does not send it.
	Instance            string
	ConnectedAt, SeenAt time.Time
	Acknowledged        changes.Number
}

// Store keeps who listens.
type Store interface {
	// SaveListener stores a listener, and removes the former connection of the same
	// instance. If the listener has no Instance, but resumes an earlier connection, it
	// removes one listener of the same name without an Instance: the one that has
	// acknowledged most, so that one that still lacks an acknowledgement is waited for.
	// It also removes the client's listeners that are Unseen. Returns ErrTooMany. SeenAt
	// is by the database's clock, here and below.
	SaveListener(ctx context.Context, l Listener, resumes bool) error
	// ResetListener clears what a listener has acknowledged. Returns ErrNotFound.
	ResetListener(ctx context.Context, id string) error
	// SeeListeners stores that these listeners are still connected, and returns those
	// that are no longer stored.
	SeeListeners(ctx context.Context, ids []string) (gone []string, err error)
	// RemoveListener removes a listener that leaves. Returns ErrNotFound.
	RemoveListener(ctx context.Context, id, client string) error
	// Acknowledge stores up to which change a listener has applied events. Returns
	// ErrNotFound.
	Acknowledge(ctx context.Context, id, client string, n changes.Number) error
	// ChangeNumber returns the number of the last committed change.
	ChangeNumber(ctx context.Context) (changes.Number, error)
}

// Acknowledged reads what Await needs.
type Acknowledged interface {
	// LastCut returns the number of the last change that may have revoked something.
	LastCut(ctx context.Context) (changes.Number, error)
	// Listeners returns the listeners seen within that time, ordered by client and name.
	Listeners(ctx context.Context, within time.Duration) ([]Listener, error)
}
