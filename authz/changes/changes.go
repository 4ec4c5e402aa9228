package changes

import (
	"context"
	"slices"
	"time"
)

// Number is a place in the change sequence. Epochs are Numbers too: the epoch
// of a client is the number of the change that last cut it.
type Number int64

// Kind says what sort of record a change is about.
type Kind string

// The kinds there are.
const (
	API        Kind = "api"        // subject: the audience
	Client     Kind = "client"     // subject: the client id
	Enabled    Kind = "enabled"    // subject: the id of a client that was disabled: what was issued to it stands again
	Key        Kind = "key"        // subject: the kid
	Token      Kind = "token"      // subject: the jti of a token that was cut
	Grant      Kind = "grant"      // subject: the id of a grant that was cut
	Session    Kind = "session"    // subject: the id of a login session that was ended
	User       Kind = "user"       // subject: the id of a user, who was changed, or of whom some grants were cut
	Everything Kind = "everything" // all tokens were cut; no subject
	StatusList Kind = "statuslist" // a status list was opened or will close; no subject
)

// Change is one entry of the sequence.
type Change struct {
	Number  Number
	Kind    Kind
	Subject string
	// At is by the clock of whoever made it.
	At time.Time
}

// IsCut reports whether it may have ended what was issued.
func (c Change) IsCut() bool { return slices.Contains(Cuts, c.Kind) }

// Cuts are the kinds of changes that may have ended what was issued.
var Cuts = []Kind{Client, Key, Token, Grant, Session, User, Everything}

// Store reads the sequence.
type Store interface {
	// ChangeNumber returns the number of the last committed change.
	ChangeNumber(ctx context.Context) (Number, error)
	// ChangesAfter returns at most limit changes with a number above after,
	// in order. Entries older than the retention may be gone, and a cut of
	// everything leaps: then the numbers returned do not follow one by one.
	ChangesAfter(ctx context.Context, after Number, limit int) ([]Change, error)
}
