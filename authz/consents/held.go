package consents

import (
	"errors"
	"time"

	"github.com/ingam/ingam/authz/permission"
)

// Holding is the access that one client has to one user's account by its grants.
type Holding struct {
	ClientID string
	// Since is when the oldest of the grants by which the client has access was made;
	// zero if there are none. A client that is disabled is counted as if it were enabled:
	// it has them back when it is.
	Since time.Time
	// LastUsed is when a grant was last made or refreshed, of all that are stored,
	// whether they stand or not.
	LastUsed time.Time
	// Granted is what the newest of those record by which it has access.
	Granted []permission.Granted
}

// Holder is a user to whose account a client may have access.
type Holder struct {
	UserID, Username string
	// Disabled is whether the user is: no client has access meanwhile.
	Disabled bool
}

// Connection is an application that has access to a user's data.
type Connection struct {
	// ClientID is the application's client id.
	ClientID string
	// Name is what the application calls itself, and Home the host by which people
	// know it, such as print.example.com; empty for an application on a device.
	Name, Home string
	// Disabled applications have no access until they are enabled again.
	Disabled bool
	// Since is when the access began: when the user first allowed the application
	// something, or when the oldest grant was made that still gives it access,
	// whichever is earlier. (Where nobody had to be asked there is only the grant.)
	Since time.Time
	// LastUsed is when the application was last issued tokens, as far as that is
	// stored; zero if it never was, or so long ago that no grant of that time is left.
	LastUsed time.Time
	// Permissions are written as an authorization request writes them. They are the
	// part of what was allowed, or granted without asking, that the client may still
	// have and its APIs still offer. There may be none. A permission that was taken
	// from the client and is given back to it is here again.
	Permissions []string
}

// Access is what one client may do for one user.
type Access struct {
	User Holder
	Connection
}

// ErrNobody: neither a user nor a client was said whose access is asked for.
var ErrNobody = errors.New("say whose access: a user's, a client's or both")

// AccessQuery selects access: that of all clients for a user, or of one, or that of a client
// for all users.
type AccessQuery struct {
	// User is a user name or an id.
	User, ClientID string
	// After is where the page before ended; empty for the first one.
	After string
	// Limit is how much a page has at most.
	Limit int
}

// AccessPage is a part of what was asked for.
type AccessPage struct {
	List []Access
	// Own are the scopes for which a client that was asked about also gets tokens of its
	// own, which are no user's. They are on the first page alone.
	Own []string
	// Next is where the page ended; empty on the last one.
	Next string
}
