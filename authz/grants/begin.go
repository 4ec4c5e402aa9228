package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"net/url"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
)

// beginning is a grant that is about to begin, whatever leads to it: an
// authorization code, or a client that signs people in by itself.
type beginning struct {
	client *clients.Client
	// grant is what is known of it: whose it is, what was allowed, and the epochs.
	grant Grant
	// own is whether the client signed the person in by itself.
	own bool
	// parameters are those of the request, of which some name APIs.
	parameters url.Values
	nonce      string
	// accepts refuses what the first tokens would be for; nil takes anything.
	accepts func(Decision) error
	// store stores the grant, once all is signed. It returns ErrNotFound where
	// something was cut or used meanwhile.
	store func(ctx context.Context, g Grant) error
}

// begin is how every grant begins: what its first tokens are for is decided, then
// its index in a status list; all is signed, then stored, so that what is stored
// can be handed out. At last it is asked once more whether the grant stands.
func (p *Parts) begin(ctx context.Context, b beginning) (Issued, error) {
	left, err := p.Rules.Left(ctx, b.client, b.grant.Granted())
	if err == nil {
		left.Permissions, err = p.Rules.Held(ctx, b.grant.UserID, left.Permissions)
	}
	if err != nil {
		return Issued{}, err
	}
	m := &making{}
	if m.decision, err = p.Rules.Decide(left, b.parameters, ""); err != nil {
		return Issued{}, err
	}
	if b.accepts != nil {
		if err := b.accepts(m.decision); err != nil {
			return Issued{}, err
		}
	}
	g, err := p.complete(ctx, b, m)
	if err != nil {
		return Issued{}, err
	}
	if err := p.issue(ctx, g, m); err != nil {
		return Issued{}, err
	}
	told, err := p.toldOf(ctx, g, b.client, m)
	if err != nil {
		return Issued{}, err
	}
	if err := p.issueID(ctx, g, b.client, m, b.nonce, told); err != nil {
		return Issued{}, err
	}
	if err := b.store(ctx, g); err != nil {
		return Issued{}, err
	}
	if err := p.stillStands(ctx, g.ID); err != nil {
		return Issued{}, err
	}
	return m.Issued, nil
}

// complete returns the grant with all that its row holds, and signs its refresh token
// if it is to have one.
func (p *Parts) complete(ctx context.Context, b beginning, m *making) (Grant, error) {
	g := b.grant
	g.ID, g.CreatedAt = rand.Text(), p.Now()
	g.ExpiresAt = g.CreatedAt.Add(m.decision.TTL)
	// The session of an app that signs people in is that sign-in and nothing
	// else: they end together.
	g.Offline = slices.Contains(g.Scopes, apis.OfflineAccess) && !b.own
	// A client that signed the person in by itself refreshes without being registered
	// for that too; for what came through a browser it must be, like everyone.
	if b.own || slices.Contains(b.client.Grants, clients.RefreshToken) {
		g.ExpiresAt = g.CreatedAt.Add(p.Lives.Grant)
		var err error
		if g.Refresh, err = p.nextRefresh(0, g.ExpiresAt); err != nil {
			return Grant{}, err
		}
		if m.RefreshToken, err = p.signRefresh(g); err != nil {
			return Grant{}, err
		}
	}
	longest, err := p.Rules.longest(ctx, g.Audiences)
	if err != nil {
		return Grant{}, err
	}
	g.Status, err = p.Indices.ForGrant(ctx, longest)
	return g, err
}

// SignIn is how a user signed in, as a grant records it of the login session.
type SignIn struct {
	SessionID, UserID string
	AuthenticatedAt   time.Time
	Methods           []string
	ContextClass      string
}

// SignedIn issues tokens to a client that has signed someone in by itself, by a
// login session that was begun for it, for what it asked. Returns ErrNotFound if the
// session, its user or the client was cut meanwhile.
func (t *Types) SignedIn(ctx context.Context, client *clients.Client, in SignIn, asked permission.Granted) (Issued, error) {
	now := t.Now()
	epochs, err := t.Store.Epochs(ctx, in.SessionID, client.ID, now)
	if err != nil {
		return Issued{}, err
	}
	issued, err := t.begin(ctx, beginning{
		client: client, own: true,
		grant: Grant{
			ClientID: client.ID, UserID: in.UserID, SessionID: in.SessionID,
			Scopes: asked.Scopes, Audiences: asked.Audiences, Permissions: asked.Permissions,
			AuthenticatedAt: in.AuthenticatedAt, Methods: in.Methods, ContextClass: in.ContextClass,
			UserEpoch: epochs.User, ClientEpoch: epochs.Client, ServerEpoch: epochs.Server,
		},
		store: func(ctx context.Context, g Grant) error { return t.Store.BeginGrant(ctx, g, now) },
	})
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		// There is no grant that the client could have presented: something was cut
		// meanwhile.
		return Issued{}, ErrNotFound
	}
	return issued, err
}
