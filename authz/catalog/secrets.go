package catalog

import (
	"context"
	"errors"

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

// AddSecret makes a further secret for the API with that audience, which does not sign yet.
// It returns the secret as it is to be shown, once. Returns ErrNotFound, or
// apis.ErrTooManySecrets.
func (c *Catalog) AddSecret(ctx context.Context, audience string, by audit.Actor) (made apis.Secret, err error) {
	of, err := c.ByAudience(ctx, audience)
	if err != nil {
		return apis.Secret{}, err
	}
	if made, err = c.newSecret(of.ID); err != nil {
		return apis.Secret{}, err
	}
	_, err = c.editSecrets(ctx, of.Audience, audit.APISecretAdded, made.ID, by, func(a *apis.API) (bool, error) {
		if a.ID != of.ID { // deleted and made again: the secret is sealed for the former one
			return false, ErrNotFound
		}
		return true, a.AddSecret(made)
	})
	return made, err
}

// UseSecret lets a secret of the API with that audience sign, and reports whether it did
// not before. The API must know it: every server signs with it within the staleness.
// Returns ErrNotFound or apis.ErrSecretNotFound.
func (c *Catalog) UseSecret(ctx context.Context, audience, id string, by audit.Actor) (changed bool, err error) {
	return c.editSecrets(ctx, audience, audit.APISecretUsed, id, by, func(a *apis.API) (bool, error) { return a.UseSecret(id) })
}

// RemoveSecret removes a secret of the API with that audience, and with it every token that
// it signed. Returns ErrNotFound, apis.ErrSecretNotFound or apis.ErrSecretSigns.
func (c *Catalog) RemoveSecret(ctx context.Context, audience, id string, by audit.Actor) error {
	_, err := c.editSecrets(ctx, audience, audit.APISecretRemoved, id, by, func(a *apis.API) (bool, error) {
		return true, a.RemoveSecret(id, c.now())
	})
	return err
}

// editSecrets lets edit change the secrets of an API, and records that as an action on the
// secret with that id. edit reports whether there is anything to record.
func (c *Catalog) editSecrets(ctx context.Context, audience string, action audit.Action, id string, by audit.Actor, edit func(*apis.API) (bool, error)) (changed bool, err error) {
	of, err := c.ByAudience(ctx, audience)
	if err != nil {
		return false, err
	}
	err = c.store.UpdateAPI(ctx, of.Audience, func(stored *apis.API) (*audit.Event, error) {
		if changed, err = edit(stored); err != nil || !changed {
			return nil, err
		}
		return &audit.Event{At: c.now(), Actor: by, Action: action, Subject: of.Audience, Details: map[string]string{"secret_id": id}}, nil
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
