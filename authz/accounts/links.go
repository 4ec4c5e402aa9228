package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/config/limits"
)

var (
	// ErrNoLink: there is no such link, it was used, it has expired, or its user cannot
	// sign in. The text does not say which: a stranger could try links.
	ErrNoLink = errors.New("the link is unknown, was used or has expired")
	// ErrHasPassword: a user who has a password is not invited.
	ErrHasPassword = errors.New("the user has a password already")
	// ErrLinkDisabled: a link of a user who is disabled would never work.
	ErrLinkDisabled = errors.New("the user is disabled")
)

// LinkKind is what a link is for.
type LinkKind string

// The kinds of links.
const (
	// Invitation is for a user who has no password yet.
	Invitation LinkKind = "invitation"
	// Reset is for one who has forgotten it.
	Reset LinkKind = "reset"
)

// lives are for how long a link of a kind is good if nobody says, and at most.
var lives = map[LinkKind]struct{ usual, most time.Duration }{
	Invitation: {limits.Day, limits.MaxInvitationLife},
	Reset:      {time.Hour, limits.MaxResetLife},
}

// Link is a link by which a person sets their password once, without knowing one. Its token
// is known to nobody but whoever made it, and who gets the link from them.
type Link struct {
	UserID    string
	Kind      LinkKind
	CreatedAt time.Time
	ExpiresAt time.Time
}

// LinkStore keeps links, under the hashes of their tokens. A link stands until it expires,
// or anything is revoked that was issued for its user, such as by a new password.
type LinkStore interface {
	// AddLink stores a link in place of the one of its kind that its user has. Returns
	// ErrNotFound, or what allow does.
	AddLink(ctx context.Context, l Link, hash [32]byte, allow Allow, ev audit.Event) error
	// LinkOwner returns the user of a link that stands at now, or ErrNoLink.
	LinkOwner(ctx context.Context, hash [32]byte, now time.Time) (User, LinkKind, error)
	// UseLink is SetPassword for the user of a link that stands at now. Of two at the same
	// time one gets ErrNoLink, and changes nothing.
	UseLink(ctx context.Context, hash [32]byte, now time.Time, password string, ev audit.Event) error
}

// MakeLink makes a link for a user, and returns its token, which is not shown again. A life
// of zero means the usual one. A link of a kind ends the former one of the same user. In a
// dry run the token is empty. Returns ErrInvalid, ErrHasPassword, ErrLinkDisabled,
// ErrNotFound, or what allow does.
func (d *Users) MakeLink(ctx context.Context, id string, kind LinkKind, life time.Duration, allow Allow, reason string, by audit.Actor) (Link, string, error) {
	of, known := lives[kind]
	if !known {
		return Link{}, "", field.At(fmt.Errorf("%w: there are links of the kinds %s and %s", ErrInvalid, Invitation, Reset), "kind")
	}
	if life == 0 {
		life = of.usual
	}
	if life < limits.MinLinkLife || life > of.most {
		return Link{}, "", field.At(fmt.Errorf("%w: a link of this kind is good for %s to %s", ErrInvalid, limits.MinLinkLife, of.most), "expires_in")
	}
	var random [32]byte
	rand.Read(random[:]) // never fails
	token := base64.RawURLEncoding.EncodeToString(random[:])
	now := d.now()
	l := Link{UserID: id, Kind: kind, CreatedAt: now, ExpiresAt: now.Add(life)}
	err := d.store.AddLink(ctx, l, hashOfLink(token), func(u User, others Others) error {
		if allow != nil {
			if err := allow(u, others); err != nil {
				return err
			}
		}
		switch {
		case u.Disabled:
			return ErrLinkDisabled
		case kind == Invitation && u.Password != "":
			return ErrHasPassword
		}
		return nil
	}, audit.Event{
		At: now, Actor: by, Action: audit.UserLinkMade, Subject: id, Reason: reason,
		Details: map[string]string{"kind": string(kind), "expires": l.ExpiresAt.UTC().Format(time.RFC3339)},
	})
	if err != nil || changes.IsDryRun(ctx) {
		token = ""
	}
	return l, token, err
}

// LinkOwner returns the user who may set a password by the link with that token, or
// ErrNoLink.
func (d *Users) LinkOwner(ctx context.Context, token string) (User, LinkKind, error) {
	return d.store.LinkOwner(ctx, hashOfLink(token), d.now())
}

// UseLink sets the password of the user of a link, which thereby is used, and ends all their
// sessions, grants and links. Returns ErrNoLink, or an ErrInvalid if the password is not
// acceptable; then the link is as good as before.
func (d *Users) UseLink(ctx context.Context, token, password string) (User, error) {
	u, kind, err := d.LinkOwner(ctx, token)
	if err != nil {
		return User{}, err
	}
	hash, err := d.passwords.Hash(ctx, u, password)
	if err != nil {
		return u, err
	}
	now := d.now()
	return u, d.store.UseLink(ctx, hashOfLink(token), now, hash, audit.Event{
		At: now, Actor: audit.User(u.ID), Action: audit.UserPasswordSet, Subject: u.ID,
		Reason: "by a link", Details: map[string]string{"kind": string(kind)},
	})
}

// hashOfLink is how a link is stored. Its token is random, so a fast hash is enough.
func hashOfLink(token string) [32]byte { return sha256.Sum256([]byte(token)) }
