package consents

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/audit"
)

// Consent is what one user has allowed one client.
type Consent struct {
	UserID, ClientID string
	Scopes           []string
	// GrantedAt is when the user first allowed the client something. Scopes that are
	// added later do not change it. (Older versions did change it, so in their rows it
	// may be later than the first time.)
	GrantedAt time.Time
}

// Store keeps consents.
type Store interface {
	// Consent returns what the user has allowed the client; a Consent without scopes
	// if nothing.
	Consent(ctx context.Context, user, client string) (Consent, error)
	// Consents returns all consents of a user, ordered by client.
	Consents(ctx context.Context, user string) ([]Consent, error)
	// AddConsent adds scopes to what the user has allowed the client. GrantedAt is
	// stored only if that was nothing.
	AddConsent(ctx context.Context, c Consent, ev audit.Event) error
	// DeleteConsent removes the consent, and revokes the grants that the client has
	// from the user.
	DeleteConsent(ctx context.Context, user, client string, ev audit.Event) error
}

// Consents stores and looks up what users have allowed clients.
type Consents struct {
	store Store
	now   func() time.Time
}

// New returns the consents in store.
func New(store Store, now func() time.Time) *Consents { return &Consents{store, now} }

// Covers reports whether the user has allowed the client all of these scopes.
func (c *Consents) Covers(ctx context.Context, user, client string, scopes []string) (bool, error) {
	held, err := c.store.Consent(ctx, user, client)
	if err != nil {
		return false, err
	}
	for _, scope := range scopes {
		if !slices.Contains(held.Scopes, scope) {
			return false, nil
		}
	}
	return !held.GrantedAt.IsZero(), nil
}

// Give stores that the user has allowed the client these scopes, in addition to those
// allowed before.
func (c *Consents) Give(ctx context.Context, user, client string, scopes []string) error {
	now := c.now()
	return c.store.AddConsent(ctx, Consent{user, client, scopes, now}, audit.Event{
		At: now, Actor: audit.User(user), Action: audit.ConsentGiven, Subject: client,
		Details: map[string]string{"user": user, "scope": strings.Join(scopes, " ")},
	})
}

// Of returns all consents of a user, ordered by client.
func (c *Consents) Of(ctx context.Context, user string) ([]Consent, error) {
	return c.store.Consents(ctx, user)
}

// TakeBack removes what the user has allowed the client, and revokes what the client was
// issued because of it.
func (c *Consents) TakeBack(ctx context.Context, user, client string) error {
	return c.store.DeleteConsent(ctx, user, client, audit.Event{
		At: c.now(), Actor: audit.User(user), Action: audit.ConsentTaken, Subject: client, Details: map[string]string{"user": user},
	})
}
