package changes

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Number is the number of a change in the change sequence. Epochs are Numbers, too: the
// epoch of a client is the number of the change that last revoked its tokens.
type Number int64

// Kind says what was changed: the kind of record that Change.Subject names.
type Kind string

// The kinds of changes.
const (
	API        Kind = "api"        // subject: the audience
	Client     Kind = "client"     // subject: the client id
	Enabled    Kind = "enabled"    // subject: the id of a client that is no longer disabled, so that its tokens are valid again
	Key        Kind = "key"        // subject: the kid
	Token      Kind = "token"      // subject: the jti of a token that was revoked
	Grant      Kind = "grant"      // subject: the id of a grant that was revoked
	Session    Kind = "session"    // subject: the id of a login session that was ended
	User       Kind = "user"       // subject: the id of a user who was changed, or of whom some grants were revoked
	Everything Kind = "everything" // all tokens were revoked; no subject
	Restored   Kind = "restored"   // the database was restored from a backup; no subject
	StatusList Kind = "statuslist" // a status list was opened or will close; no subject
)

// Change is one entry of the change sequence.
type Change struct {
	Number  Number
	Kind    Kind
	Subject string
	// Mark is random. It distinguishes this change from another with the same number;
	// see Position.
	Mark string
	// At is when the change was made, by the clock of the process that made it.
	At time.Time
}

// IsCut reports whether the change may have revoked something.
func (c Change) IsCut() bool { return slices.Contains(Cuts, c.Kind) }

// Cuts are the kinds of changes that may have revoked something.
var Cuts = []Kind{Client, Key, Token, Grant, Session, User, Everything}

// Position is a place in the history of a database: the number and the mark of a change.
// Two databases, or a database and an older copy of it, may have given the same number to
// different changes, but never the same mark.
type Position struct {
	Number Number
	// Mark is random. It is empty for a change made by a version that has no marks,
	// and if there is no entry with that number.
	Mark string
}

// History is what a database says about its changes, at one moment, when it was asked
// about a certain Position.
type History struct {
	// Newest is the last committed change.
	Newest Position
	// Oldest is the lowest number that still has an entry; zero if none has.
	Oldest Number
	// Kept is whether the number that was asked about has an entry; Mark is the mark of
	// that entry.
	Kept bool
	Mark string
}

// Lacks says why p, about which the history was asked, is not part of it. It returns an
// empty text if p is part of it, or if that cannot be told.
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

// Store reads the change sequence.
type Store interface {
	// History returns what the database says about its changes, and whether the one at
	// p is among them. If it is not, the present connections may lead to different
	// databases, so the store uses none of them again.
	History(ctx context.Context, p Position) (History, error)
	// ChangesAfter returns at most limit changes with a number above after, in order.
	// There may be gaps in their numbers: old entries are deleted, and revoking
	// everything skips many numbers.
	ChangesAfter(ctx context.Context, after Number, limit int) ([]Change, error)
}
