package clients

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/field"
)

// minSecretLength is how long a secret that was not generated here must be.
// A shorter one could be guessed, and then a fast hash would not protect it.
const minSecretLength = 32

// maxSecretLength bounds what is hashed and what an HTTP header must carry.
const maxSecretLength = 512

// AddSecret gives the client a second live secret, generated unless given, so
// that the first can be replaced without an outage. The secret is returned
// once and never again. Returns ErrNotFound, ErrTooManySecrets or ErrInvalid.
func (r *Registry) AddSecret(ctx context.Context, id, secret, reason string, by audit.Actor) (Secret, string, error) {
	c, err := r.store.Client(ctx, id)
	if err != nil {
		return Secret{}, "", err
	}
	if c.Auth == None {
		return Secret{}, "", field.At(fmt.Errorf("%w: a public client has no secret", ErrInvalid), "client_secret")
	}
	s, plain, err := newSecret(secret, r.now())
	if err != nil {
		return Secret{}, "", err
	}
	if slices.ContainsFunc(c.Secrets, func(live Secret) bool { return live.Hash == s.Hash }) {
		return Secret{}, "", fmt.Errorf("%w: this secret is live already", ErrInvalid)
	}
	err = r.store.AddClientSecret(ctx, id, s, audit.Event{
		At: s.CreatedAt, Actor: by, Action: audit.ClientSecretAdded, Subject: id, Reason: reason, Details: map[string]string{"secret_id": s.ID},
	})
	return s, plain, err
}

// RemoveSecret ends a live secret: the one with that id or, if empty, the
// older of two. It returns which it was. Returns ErrNotFound, ErrSecretNotFound or
// ErrLastSecret.
func (r *Registry) RemoveSecret(ctx context.Context, id, secretID, reason string, by audit.Actor) (Secret, error) {
	return r.store.RemoveClientSecret(ctx, id, secretID, audit.Event{At: r.now(), Actor: by, Action: audit.ClientSecretRemoved, Subject: id, Reason: reason})
}

// newSecret returns plain, or a new secret of 260 random bits, and what is
// stored of it.
func newSecret(plain string, now time.Time) (Secret, string, error) {
	if plain == "" {
		plain = rand.Text() + rand.Text()
	}
	if len(plain) < minSecretLength || len(plain) > maxSecretLength {
		return Secret{}, "", field.At(fmt.Errorf("%w: a secret has %d to %d characters", ErrInvalid, minSecretLength, maxSecretLength), "client_secret")
	}
	for _, r := range plain {
		if r < ' ' || r > '~' {
			return Secret{}, "", field.At(fmt.Errorf("%w: a secret holds only printable ASCII characters (RFC 6749 appendix A.2)", ErrInvalid), "client_secret")
		}
	}
	return Secret{ID: rand.Text(), Hash: sha256.Sum256([]byte(plain)), CreatedAt: now}, plain, nil
}
