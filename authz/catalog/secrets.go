package catalog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/keys"
)

// errNoSharing: this Catalog has nothing that makes secrets.
var errNoSharing = errors.New("no secret can be made here")

// share makes sure that an API whose algorithm is apis.SharedAlg has a secret that signs.
func (c *Catalog) share(a *apis.API) error {
	if a.Signing.Wants() != apis.SharedAlg {
		return nil
	}
	return a.BeginToShare(func() (apis.Secret, error) { return c.newSecret(a.ID) })
}

func (c *Catalog) newSecret(api string) (apis.Secret, error) {
	if c.Rings == nil {
		return apis.Secret{}, errNoSharing
	}
	s, shown, err := c.Rings.Share(api)
	return apis.Secret{ID: s.KID, Sealed: s.Sealed, CreatedAt: c.now(), Shown: shown}, err
}

// AddSecret makes a further secret for the API that ref names (see Stored), which does not
// sign yet. It returns the secret as it is to be shown, once. Returns ErrNotFound,
// apis.ErrInvalid for an API that cannot share one, or apis.ErrTooManySecrets.
func (c *Catalog) AddSecret(ctx context.Context, ref, reason string, by audit.Actor) (made apis.Secret, err error) {
	of, err := c.Stored(ctx, ref)
	if err != nil {
		return apis.Secret{}, err
	}
	if of.Administers() {
		return apis.Secret{}, fmt.Errorf("%w: the API of the administration shares no secret", apis.ErrInvalid)
	}
	if made, err = c.newSecret(of.ID); err != nil {
		return apis.Secret{}, err
	}
	_, err = c.editSecrets(ctx, of, audit.APISecretAdded, made.ID, reason, by, func(a *apis.API) (bool, error) {
		return true, a.AddSecret(made)
	})
	return made, err
}

// UseSecret lets a secret of the API that ref names sign, and reports whether it did not
// before. The API must know it: every server signs with it within the staleness. Returns
// ErrNotFound or apis.ErrSecretNotFound.
func (c *Catalog) UseSecret(ctx context.Context, ref, id, reason string, by audit.Actor) (used apis.Secret, changed bool, err error) {
	of, err := c.Stored(ctx, ref)
	if err != nil {
		return apis.Secret{}, false, err
	}
	changed, err = c.editSecrets(ctx, of, audit.APISecretUsed, id, reason, by, func(a *apis.API) (bool, error) {
		changed, err := a.UseSecret(id)
		used, _ = a.SigningSecret()
		return changed, err
	})
	return used, changed, err
}

// RemoveSecret removes a secret of the API that ref names, and with it every token that it
// signed. Returns ErrNotFound, apis.ErrSecretNotFound or apis.ErrSecretSigns.
func (c *Catalog) RemoveSecret(ctx context.Context, ref, id, reason string, by audit.Actor) (removed apis.Secret, err error) {
	of, err := c.Stored(ctx, ref)
	if err != nil {
		return apis.Secret{}, err
	}
	_, err = c.editSecrets(ctx, of, audit.APISecretRemoved, id, reason, by, func(a *apis.API) (bool, error) {
		if i := slices.IndexFunc(a.Secrets, func(s apis.Secret) bool { return s.ID == id }); i >= 0 {
			removed = a.Secrets[i]
		}
		return true, a.RemoveSecret(id, c.now())
	})
	return removed, err
}

// editSecrets lets edit change the secrets of an API, and records that as an action on the
// secret with that id. edit reports whether there is anything to record.
func (c *Catalog) editSecrets(ctx context.Context, of apis.API, action audit.Action, id, reason string, by audit.Actor, edit func(*apis.API) (bool, error)) (changed bool, err error) {
	err = c.store.UpdateAPI(ctx, of.Audience, func(stored *apis.API) (*audit.Event, error) {
		if stored.ID != of.ID { // deleted and made again: a secret is sealed for the former one
			return nil, ErrNotFound
		}
		if changed, err = edit(stored); err != nil || !changed {
			return nil, err
		}
		return &audit.Event{At: c.now(), Actor: by, Action: action, Subject: of.Audience, Reason: reason, Details: map[string]string{"secret_id": id}}, nil
	})
	return changed && err == nil, err
}

// Shared returns the secret with that kid, and the audience of its API, if that is one of
// the given audiences. There need not be an API with each of these.
func (c *Catalog) Shared(ctx context.Context, audiences []string, kid string) (secret keys.SharedSecret, audience string, err error) {
	if c.fresh != nil && c.fresh() {
		if secret, audience, ok := sharedBy(*c.held.Load(), audiences, kid); ok {
			return secret, audience, nil
		}
		// It may have been made a moment ago: ask the database.
	}
	stored, err := c.load(ctx)
	if err != nil {
		return keys.SharedSecret{}, "", err
	}
	if secret, audience, ok := sharedBy(stored, audiences, kid); ok {
		return secret, audience, nil
	}
	return keys.SharedSecret{}, "", apis.ErrSecretNotFound
}

func sharedBy(all map[string]apis.API, audiences []string, kid string) (secret keys.SharedSecret, audience string, ok bool) {
	for _, audience := range audiences {
		a := all[audience] // without secrets, if there is no such API
		for _, s := range a.Secrets {
			if s.ID == kid {
				return keys.SharedSecret{API: a.ID, KID: s.ID, Sealed: s.Sealed}, audience, true
			}
		}
	}
	return keys.SharedSecret{}, "", false
}
