package grants

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/revocation"
)

// MostLooked is how many grants a page of a search looks at. A page that has looked at so
// many ends, however few of them it has found, so that no search holds the database for
// long.
const MostLooked = 5000

// State narrows a search to grants that are in it.
type State string

// The states. Nobody is asked to know why a grant gives no access any more.
const (
	Live      State = "live"      // it gives access
	Ended     State = "ended"     // it expired, or was revoked in whatever way
	Unexpired State = "unexpired" // it has not expired; perhaps it was revoked
)

// Query selects grants. Zero fields do not restrict.
type Query struct {
	// UserID, ClientID and SessionID are whose. Of several, the last one that is set is
	// looked up, and the others narrow what is found.
	UserID, ClientID, SessionID string
	// Scope is one that was allowed.
	Scope string
	// Since and Before are when the grant was made: not before the one, but before the
	// other.
	Since, Before time.Time
	State         State
	// After is where the page before ended; zero for the first one.
	After Place
	// Limit is how many grants a page has at most.
	Limit int
}

// Place is where a grant is in a search: the newest comes first, and of several of one
// moment the one with the greatest id.
type Place struct {
	CreatedAt time.Time
	ID        string
}

// Page is a part of what a search finds.
type Page struct {
	Grants []Listed
	// Next is where the page ended; zero on the last one.
	Next Place
}

// Listed is a grant with the names of its user and client, for lists that people
// read. A name is empty where the user or client was deleted.
type Listed struct {
	Standing
	Username, ClientName string
}

// SearchStore is what of the database a Search uses.
type SearchStore interface {
	// SearchGrants returns the page of a search, as of now.
	SearchGrants(ctx context.Context, q Query, now time.Time) (Page, error)
	// ListedGrant returns one grant, or ErrNotFound.
	ListedGrant(ctx context.Context, id string) (Listed, error)
	// SessionUser returns the user of a login session, or an error if there is none.
	SessionUser(ctx context.Context, id string) (string, error)
}

// Names finds users by what they are called; *accounts.Users does.
type Names interface {
	Users
	Find(ctx context.Context, name string) (accounts.User, error)
}

// Search finds and revokes grants, for administrators.
type Search struct {
	store    SearchStore
	users    Names
	registry *clients.Registry
	cuts     *revocation.Cuts
	now      func() time.Time
}

// NewSearch returns the search of the grants in store.
func NewSearch(store SearchStore, users Names, registry *clients.Registry, cuts *revocation.Cuts, now func() time.Time) *Search {
	return &Search{store, users, registry, cuts, now}
}

// List returns a page of grants. q.UserID may also be a user name. A user, a client or a
// session that does not exist is an error: a misspelled one would find no grants, and look
// as if all was well.
func (s *Search) List(ctx context.Context, q Query) (Page, error) {
	if q.UserID != "" {
		u, err := s.users.Find(ctx, q.UserID)
		if err != nil {
			return Page{}, field.At(err, "user")
		}
		q.UserID = u.ID
	}
	if q.ClientID != "" {
		if _, err := s.registry.Stored(ctx, q.ClientID); err != nil {
			return Page{}, field.At(err, "client")
		}
	}
	if q.SessionID != "" {
		if _, err := s.store.SessionUser(ctx, q.SessionID); err != nil {
			return Page{}, field.At(err, "session")
		}
	}
	return s.store.SearchGrants(ctx, q, s.now())
}

// Get returns a grant, or ErrNotFound.
func (s *Search) Get(ctx context.Context, id string) (Listed, error) {
	return s.store.ListedGrant(ctx, id)
}

// Has returns ErrNotFound unless there is such a grant.
func (s *Search) Has(ctx context.Context, id string) error {
	_, err := s.Get(ctx, id)
	return err
}

// Revoke revokes a grant and returns it as it is then. To revoke it again changes nothing.
// Returns ErrNotFound.
func (s *Search) Revoke(ctx context.Context, id, reason string, by audit.Actor) (Listed, error) {
	found, err := s.Get(ctx, id)
	if err != nil {
		return Listed{}, err
	}
	if err := s.cuts.Grant(ctx, id, found.ClientID, reason, by); err != nil {
		return Listed{}, err
	}
	if !changes.IsDryRun(ctx) {
		return s.Get(ctx, id)
	}
	if found.Stands = false; found.RevokedAt.IsZero() {
		found.RevokedAt = s.now()
	}
	return found, nil
}
