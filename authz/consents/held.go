package consents

import (
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
