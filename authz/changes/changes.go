package changes

import (
	"context"
	"fmt"
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
	Restored   Kind = "restored"   // the database is as it was at an earlier time; no subject
	StatusList Kind = "statuslist" // a status list was opened or will close; no subject
)

// Change is one entry of the sequence.
type Change struct {
	Number  Number
	Kind    Kind
	Subject string
	// Mark is random, and tells it from another of the same number, see Position.
	Mark string
	// At is by the clock of whoever made it.
	At time.Time
}

// IsCut reports whether it may have ended what was issued.
func (c Change) IsCut() bool { return slices.Contains(Cuts, c.Kind) }

// Cuts are the kinds of changes that may have ended what was issued.
var Cuts = []Kind{Client, Key, Token, Grant, Session, User, Everything}

// Position is a place in the history of a database: the number of a change, and its
// mark. Two databases, or one and an older copy of it, may have made different changes
// of the same number, and never of the same mark.
type Position struct {
	Number Number
	// Mark is random. It is empty for a change that a version before marks recorded,
	// and where there is no entry of the number.
	Mark string
}

// History is what a database tells of its changes at one moment.
type History struct {
	// Newest is the last committed change.
	Newest Position
	// Oldest is the lowest number whose entry is kept; zero if none is.
	Oldest Number
	// Kept is whether there is an entry of the number that was asked about, and Mark
	// what marks it.
	Kept bool
	Mark string
}

// Lacks says in what way p, about which the history was asked, is not in it; empty if
// it is, or nothing speaks against it.
func (h History) Lacks(p Position) string {
	switch {
	case p.Number > h.Newest.Number:
		return fmt.Sprintf("its last change is %d, and %d was seen", h.Newest.Number, p.Number)
	case h.Kept && h.Mark != p.Mark:
		return fmt.Sprintf("its change %d is another than the one that was seen", p.Number)
	case !h.Kept && p.Mark != "" && p.Number >= h.Oldest:
		return fmt.Sprintf("it has no change %d, which was seen", p.Number)
	}
	return ""
}

// Store reads the sequence.
type Store interface {
	// History returns what the database tells of its changes, and whether the one at
	// p is among them. Where it is not, the connections that there are may lead to
	// different databases: the store lets none of them be used again.
	History(ctx context.Context, p Position) (History, error)
	// ChangesAfter returns at most limit changes with a number above after,
	// in order. Entries older than the retention may be gone, and a cut of
	// everything leaps: then the numbers returned do not follow one by one.
	ChangesAfter(ctx context.Context, after Number, limit int) ([]Change, error)
}
