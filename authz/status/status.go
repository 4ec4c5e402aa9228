package status

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/changes"
)

var (
	// ErrNotFound: there is no such list, or not any more; or the owner of an
	// index is not there, disabled, or was just cut.
	ErrNotFound = errors.New("no such status list, or it has ended")
	// ErrNoRoom: no open list has room for what is asked.
	ErrNoRoom = errors.New("no open status list has room")
	// ErrNoListener: there is no such listener, or it is another client's.
	ErrNoListener = errors.New("no such listener")
	// ErrTooManyListeners: the client has MostListeners already.
	ErrTooManyListeners = errors.New("the client has too many listeners")
)

// Ref is a place in a list. The zero Ref is none: lists are numbered from 1.
type Ref struct {
	List, Index int64
}

// Purpose says what refers to a list.
type Purpose string

// The purposes there are. They differ in when a list may close.
const (
	ForGrants  Purpose = "grants"
	ForClients Purpose = "clients"
)

// List is a status list as a record.
type List struct {
	// Number names it; it is that of the change that opened it.
	Number  int64
	Purpose Purpose
	// Life is the longest that a token that refers to it lives.
	Life time.Duration
	// Size is how many indices it has, Next the first that nobody has.
	Size, Next int64
	OpenedAt   time.Time
	// ClosesAt is from when nobody may issue for it; zero while not decided.
	ClosesAt time.Time
}

// Tail is for how long a token may be issued for a list after it has closed, and
// its clock be off: a refresh that is repeated within the grace names the list
// of the first time.
const Tail = 15 * time.Minute

// Gone is when the last token that refers to the list has expired; zero if that
// is not decided.
func (l List) Gone() time.Time {
	if l.ClosesAt.IsZero() {
		return time.Time{}
	}
	return l.ClosesAt.Add(l.Life + Tail)
}

// Block is a row of indices that one process may give out.
type Block struct {
	List        int64
	First, Size int64
	// ClientID is whose tokens it is for, and Epoch what it was taken under;
	// empty for one that is for grants.
	ClientID string
	Epoch    changes.Number
}

// Run is a row of indices that are set.
type Run struct {
	List        int64
	First, Size int64
}

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

// MostListeners is how many listeners a client may have on all servers together:
// whoever has an API's secret must not fill the database.
const MostListeners = 1000

// Store keeps lists and listeners, and tells which bits are set.
type Store interface {
	// StatusLists returns all lists.
	StatusLists(ctx context.Context) ([]List, error)
	// OpenStatusList opens a list, unless there is one that has room for a block
	// of that size and is for tokens of that life. It is opened by the database's
	// clock; now is for the record.
	OpenStatusList(ctx context.Context, l List, block int64, now time.Time) error
	// CloseStatusLists decides that the lists of a purpose that are as good as full,
	// and were opened so long ago, close after a while; none if one of them has
	// closed, or will, later than so long ago. All by the database's clock; now is
	// for the record.
	CloseStatusLists(ctx context.Context, p Purpose, after, longAgo time.Duration, now time.Time) error
	// TakeStatusBlock takes indices from an open list for tokens of that life: for
	// a client, with its epoch, or for grants. Returns ErrNoRoom, or ErrNotFound
	// if the client is not there, is disabled or was cut while it was taken.
	TakeStatusBlock(ctx context.Context, p Purpose, life time.Duration, size int64, client string) (Block, error)
	// StatusesSet returns what is set: because of these changes, or at all.
	StatusesSet(ctx context.Context, because []changes.Change) ([]Run, error)
	// StatusesClear returns what is not set any more because these clients were
	// enabled again. Tokens that were cut one by one may be among it.
	StatusesClear(ctx context.Context, clients []string) ([]Run, error)
	// ServerEpoch returns the number of the last cut of everything: the lists of
	// before are set from end to end.
	ServerEpoch(ctx context.Context) (changes.Number, error)
	// ChangeNumber returns the number of the last committed change.
	ChangeNumber(ctx context.Context) (changes.Number, error)

	// SaveListener stores a listener, in place of the former connection of its
	// instance. Where it does not say which instance it is, and resumes, it takes
	// the place of another of its name that does not say so either: of the one that
	// has acknowledged most, so that no lack of an acknowledgement is forgotten. Those
	// of the client that are Unseen are forgotten. Returns ErrTooManyListeners.
	// When it was seen is by the database's clock, here and below.
	SaveListener(ctx context.Context, l Listener, resumes bool) error
	// ResetListener forgets what a listener has acknowledged. Returns ErrNoListener.
	ResetListener(ctx context.Context, id string) error
	// SeeListeners notes that these are still connected, and returns those that are
	// not known any more.
	SeeListeners(ctx context.Context, ids []string) (gone []string, err error)
	// RemoveListener forgets a listener that leaves. Returns ErrNoListener.
	RemoveListener(ctx context.Context, id, client string) error
	// Acknowledge notes what a listener has applied. Returns ErrNoListener.
	Acknowledge(ctx context.Context, id, client string, n changes.Number) error
	// LastCut returns the number of the last change that may have ended what was
	// issued.
	LastCut(ctx context.Context) (changes.Number, error)
	// Listeners returns those seen within that time, ordered by client and name.
	Listeners(ctx context.Context, within time.Duration) ([]Listener, error)
}
