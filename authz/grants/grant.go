package grants

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/status"
)

// ErrNotFound says that there is no such code or grant, or that it was revoked, has
// ended, or was used.
var ErrNotFound = errors.New("no such grant")

// Grant is what one user allowed one client in one sign-in. It is also the
// family of its refresh tokens: one record, however often they rotate.
type Grant struct {
	// ID is the `gid` of what is issued under it.
	ID                          string
	ClientID, UserID, SessionID string
	Scopes, Audiences           []string
	// Permissions are the scopes, each with the API that offered it when it was
	// allowed; nil in grants of versions before that was recorded.
	Permissions []permission.Permission
	// AuthenticatedAt, Methods and ContextClass are those of the login session: when,
	// how and how well the user proved who they are.
	AuthenticatedAt time.Time
	Methods         []string
	ContextClass    string
	// Offline grants outlive the login session.
	Offline bool
	// The epochs that it was made under.
	UserEpoch, ClientEpoch, ServerEpoch changes.Number
	CreatedAt                           time.Time
	// ExpiresAt is when it ends, however often it is refreshed.
	ExpiresAt time.Time
	Refresh   Refresh
	// RevokedAt is zero unless the grant was revoked.
	RevokedAt time.Time
	// Status is the index that its tokens refer to, and Former the one before,
	// which tokens may still refer to.
	Status, Former status.Ref
}

// Refresh is the current refresh token of a grant: what is signed follows from
// it and the grant's id alone, so that it can be signed again, byte for byte.
type Refresh struct {
	// Generation counts the refresh tokens from 1; 0 means that there is none.
	Generation int64
	// IssuedAt and ExpiresAt are whole seconds.
	IssuedAt, ExpiresAt time.Time
	// KeyID is the kid of the key that signed it.
	KeyID string
	// Version is that of the token's format.
	Version int64
}

// Standing is a grant as the database has it at one moment.
type Standing struct {
	Grant
	// Stands is whether neither the grant nor its user, client or session was revoked.
	Stands bool
	// SessionEnded is whether the login session was ended, which an offline grant
	// survives.
	SessionEnded bool
	// Age is for how long the current refresh token has been there, by the
	// clock of the database.
	Age time.Duration
}

// Code is an authorization code, with all that its redemption has to match and
// what the grant will hold.
type Code struct {
	ClientID string
	// RedirectURI is as it was asked for; empty if it was left out, the client
	// having one, or asking by itself.
	RedirectURI            string
	UserID, SessionID      string
	Scopes, Audiences      []string
	Permissions            []permission.Permission // as those of a Grant
	Nonce                  string
	Challenge              string // S256 (RFC 7636); may be empty
	AuthenticatedAt        time.Time
	Methods                []string
	ContextClass           string
	UserEpoch, ClientEpoch changes.Number
	ServerEpoch            changes.Number
	ExpiresAt              time.Time
	// UsedAt is zero until it is redeemed; then GrantID is what it became.
	UsedAt  time.Time
	GrantID string
}

// Granted returns what the user allowed, as the code records it.
func (c Code) Granted() permission.Granted {
	return permission.Granted{Audiences: c.Audiences, Scopes: c.Scopes, Permissions: c.Permissions}
}

// Granted returns what the user allowed, as the grant records it.
func (g Grant) Granted() permission.Granted {
	return permission.Granted{Audiences: g.Audiences, Scopes: g.Scopes, Permissions: g.Permissions}
}

// Epochs are the epochs of a grant's user and client and of the server. A revocation
// raises one of them, and ends every grant that was made under a lower one.
type Epochs struct {
	User, Client, Server changes.Number
}

// Store is what of the database the grant types use.
type Store interface {
	// Code returns a code, used or not, or ErrNotFound.
	Code(ctx context.Context, hash [32]byte) (Code, error)
	// RedeemCode uses a code and stores the grant that it becomes, in one
	// transaction. Of several at once one succeeds; the others, and one whose
	// code has expired at now or been cut, get ErrNotFound.
	RedeemCode(ctx context.Context, hash [32]byte, now time.Time, g Grant) error
	// Epochs returns those that a grant of a login session to a client would be made
	// under now, or ErrNotFound if the session or the client does not stand.
	Epochs(ctx context.Context, session, client string, now time.Time) (Epochs, error)
	// BeginGrant stores a grant that nothing but its login session leads to. It
	// returns ErrNotFound if the session does not stand at now, or anything of the
	// grant's was cut since its epochs. One statement.
	BeginGrant(ctx context.Context, g Grant, now time.Time) error
	// Grant returns a grant, or ErrNotFound. One statement.
	Grant(ctx context.Context, id string) (Standing, error)
	// RotateGrant replaces the refresh token of a generation, and the indices, if
	// the grant still has that generation, stands and has not expired at now;
	// otherwise ErrNotFound. One statement.
	RotateGrant(ctx context.Context, id string, from int64, next Refresh, ref, former status.Ref, now time.Time) error
}

// Begun returns the event that tells of the beginning of the grant.
func (g Grant) Begun() audit.Event {
	return audit.Event{
		At: g.CreatedAt, Actor: audit.User(g.UserID), Action: audit.GrantBegun, Subject: g.ID,
		Details: map[string]string{"user": g.UserID, "client_id": g.ClientID, "session": g.SessionID, "scope": strings.Join(g.Scopes, " ")},
	}
}
