package administration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
)

// APISettings are what an API is registered with, as far as it can be changed. What is nil
// stays as it is.
type APISettings struct {
	Name          *string                       `json:"name,omitempty" doc:"The name that users see"`
	Scopes        *[]string                     `json:"scopes,omitempty" doc:"The scopes that the API offers"`
	ScopeTexts    *map[string]map[string]string `json:"scope_texts,omitempty" doc:"All texts that say what scopes allow, by scope and language (BCP 47), as the end of: the application would like to …"`
	AccessTTL     Nullable[string]              `json:"access_ttl,omitzero" required:"false" nullable:"true" doc:"The life of access tokens for the API, such as 5m, from 1m to 24h; null for the server's default"`
	Roles         *bool                         `json:"roles,omitempty" doc:"Whether access tokens for the API have the roles of the user"`
	TokenType     *string                       `json:"token_typ,omitempty" doc:"The typ of access tokens for the API: at+jwt, or JWT for a library that accepts nothing else"`
	SigningAlg    *string                       `json:"signing_alg,omitempty" doc:"RS256, PS256, ES256, EdDSA, or HS256 with a secret that this API and the server alone have"`
	EncryptionKey Nullable[map[string]any]      `json:"encryption_key,omitzero" required:"false" nullable:"true" doc:"The public key, a JWK, to which access tokens for the API are encrypted: RSA (RSA-OAEP-256) or P-256 (ECDH-ES); null for none"`
}

// apply sets what is given.
func (s APISettings) apply(a *apis.API) error {
	set(&a.Name, s.Name)
	set(&a.Scopes, s.Scopes)
	set(&a.Roles, s.Roles)
	set((*string)(&a.TokenType), s.TokenType)
	set(&a.Signing.Alg, s.SigningAlg)
	if s.ScopeTexts != nil {
		a.ScopeTexts = apis.ScopeTexts(*s.ScopeTexts).Clone()
		maps.DeleteFunc(a.ScopeTexts, func(_ string, texts map[string]string) bool { return len(texts) == 0 })
	}
	if err := s.applyTTL(a); err != nil {
		return err
	}
	switch {
	case !s.EncryptionKey.Sent:
	case s.EncryptionKey.Value == nil:
		a.EncryptionJWK = ""
	default:
		text, err := json.Marshal(*s.EncryptionKey.Value)
		if err != nil {
			return err
		}
		if a.EncryptionJWK, err = catalog.EncryptionKey(text); err != nil {
			return err
		}
	}
	return nil
}

func (s APISettings) applyTTL(a *apis.API) error {
	switch {
	case !s.AccessTTL.Sent:
	case s.AccessTTL.Value == nil:
		a.AccessTTL = 0
	default:
		ttl, err := time.ParseDuration(*s.AccessTTL.Value)
		if err != nil || ttl == 0 { // zero would be the default
			return apis.Invalid(fmt.Errorf("the access-token life %q is no time, such as 5m", *s.AccessTTL.Value), "access_ttl")
		}
		a.AccessTTL = ttl
	}
	return nil
}

// APIs is the administration of APIs. Its methods take the id of an API or its audience, in
// any spelling.
type APIs struct {
	catalog *catalog.Catalog
	clients *clients.Registry
	cuts    *revocation.Cuts
}

// NewAPIs returns the administration of the APIs in catalog, which the clients in registry
// use.
func NewAPIs(catalog *catalog.Catalog, registry *clients.Registry, cuts *revocation.Cuts) *APIs {
	return &APIs{catalog, registry, cuts}
}

// Own returns the scopes that the server itself understands.
func (a *APIs) Own() *apis.Own { return a.catalog.Own() }

// Get returns an API as it is stored now, or catalog.ErrNotFound.
func (a *APIs) Get(ctx context.Context, ref string) (apis.API, error) {
	return a.catalog.Stored(ctx, ref)
}

// List returns all APIs, ordered by audience, or only the one with an audience, in any
// spelling, if that is not empty.
func (a *APIs) List(ctx context.Context, audience string) ([]apis.API, error) {
	list, err := a.catalog.List(ctx)
	if err != nil || audience == "" {
		return list, err
	}
	spellings := apis.Spellings(audience)
	return slices.DeleteFunc(list, func(is apis.API) bool { return !slices.Contains(spellings, is.Audience) }), nil
}

// Create registers an API. Returns ErrForbidden, or what catalog.Catalog.Create does.
func (a *APIs) Create(ctx context.Context, by Caller, audience string, settings APISettings, reason string) (apis.API, error) {
	is := apis.API{Audience: audience}
	if err := settings.apply(&is); err != nil {
		return apis.API{}, err
	}
	is, err := a.catalog.Create(ctx, is, reason, by.Actor)
	if errors.Is(err, catalog.ErrExists) {
		if there, found := a.List(ctx, audience); found == nil && len(there) == 1 {
			err = &ThereError{err, KindAPI, there[0].ID}
		}
	}
	return told(ctx, is), err
}

// told takes away secrets that a dry run made: nobody will ever have them.
func told(ctx context.Context, a apis.API) apis.API {
	if changes.IsDryRun(ctx) {
		a.Secrets = slices.Clone(a.Secrets)
		for i := range a.Secrets {
			a.Secrets[i].Shown = ""
		}
	}
	return a
}

// Update changes an API whose version the caller knows. It returns the API, whether it is
// another one than before, and warnings. Returns ErrForbidden, ErrStale, or what
// catalog.Catalog.Update does.
func (a *APIs) Update(ctx context.Context, by Caller, ref, version string, settings APISettings, reason string) (is apis.API, changed bool, warnings []string, err error) {
	var was apis.API
	is, changed, err = a.catalog.Update(ctx, ref, func(stored *apis.API) error {
		if err := by.mayChangeAPI(*stored); err != nil {
			return err
		}
		if err := Unchanged(catalog.Version(*stored), version); err != nil {
			return err
		}
		was = *stored
		return settings.apply(stored)
	}, reason, by.Actor)
	if err != nil || !changed {
		return is, false, nil, err
	}
	warnings, err = a.unoffered(ctx, was.Scopes, is)
	return told(ctx, is), true, warnings, err
}

// unoffered warns of clients of an API that are registered for a scope which it offered
// before, and which none of their APIs offers now.
func (a *APIs) unoffered(ctx context.Context, before []string, is apis.API) (warnings []string, err error) {
	if !slices.ContainsFunc(before, func(scope string) bool { return !slices.Contains(is.Scopes, scope) }) {
		return nil, nil
	}
	all, err := a.catalog.List(ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].ID == is.ID { // in a dry run it is not stored
			all[i] = is
		}
	}
	named, err := a.clients.List(ctx)
	if err != nil {
		return nil, err
	}
	for _, client := range named {
		lost := slices.DeleteFunc(client.Unoffered(all, a.catalog.Own()), func(scope string) bool { return !slices.Contains(before, scope) })
		if slices.Contains(client.Audiences, is.Audience) && len(lost) > 0 {
			warnings = append(warnings, fmt.Sprintf("client %s still names the scope %s, which none of its APIs offers now: it gets no more tokens for that scope",
				client.ID, strings.Join(lost, " ")))
		}
	}
	return warnings, nil
}

// Delete removes an API whose version the caller knows. One that clients name cannot be
// deleted. Without force it also refuses one that live grants are for: their clients could
// not use it, but would again if they were given it back. Returns ErrForbidden, ErrStale,
// ErrInUse, or what catalog.Catalog.Delete does.
func (a *APIs) Delete(ctx context.Context, by Caller, ref, version string, force bool, reason string) error {
	is, err := a.reach(ctx, by, ref)
	if err != nil {
		return err
	}
	remove := func(ctx context.Context) error {
		return a.catalog.Delete(ctx, is.ID, func(stored apis.API) error {
			return Unchanged(catalog.Version(stored), version)
		}, reason, by.Actor)
	}
	if !force {
		// What force would not help against is said first.
		if err := remove(changes.DryRun(ctx)); err != nil {
			return err
		}
		ended, err := a.cuts.WouldEnd(ctx, changes.API, is.Audience)
		if err != nil {
			return err
		}
		if ended.Grants > 0 {
			return fmt.Errorf("%w: %d live grants are for the API, and would lose it", ErrInUse, ended.Grants)
		}
	}
	return remove(ctx)
}

// reach returns an API if the caller may change it.
func (a *APIs) reach(ctx context.Context, by Caller, ref string) (apis.API, error) {
	is, err := a.Get(ctx, ref)
	if err != nil {
		return apis.API{}, err
	}
	return is, by.mayChangeAPI(is)
}

// AddSecret makes a further secret for an API, which does not sign yet. Returns
// ErrForbidden, or what catalog.Catalog.AddSecret does.
func (a *APIs) AddSecret(ctx context.Context, by Caller, ref, reason string) (apis.Secret, error) {
	is, err := a.reach(ctx, by, ref)
	if err != nil {
		return apis.Secret{}, err
	}
	made, err := a.catalog.AddSecret(ctx, is.ID, reason, by.Actor)
	if changes.IsDryRun(ctx) {
		made.Shown = ""
	}
	return made, err
}

// UseSecret lets a secret of an API sign, and reports whether it did not before. Returns
// ErrForbidden, or what catalog.Catalog.UseSecret does.
func (a *APIs) UseSecret(ctx context.Context, by Caller, ref, secretID, reason string) (apis.Secret, bool, error) {
	is, err := a.reach(ctx, by, ref)
	if err != nil {
		return apis.Secret{}, false, err
	}
	return a.catalog.UseSecret(ctx, is.ID, secretID, reason, by.Actor)
}

// RemoveSecret ends a secret of an API, and all tokens that it signed. Returns ErrForbidden,
// or what catalog.Catalog.RemoveSecret does.
func (a *APIs) RemoveSecret(ctx context.Context, by Caller, ref, secretID, reason string) (apis.Secret, error) {
	is, err := a.reach(ctx, by, ref)
	if err != nil {
		return apis.Secret{}, err
	}
	return a.catalog.RemoveSecret(ctx, is.ID, secretID, reason, by.Actor)
}

// mayChangeAPI checks a change of an API, as it is. Whoever may write APIs could otherwise
// take scopes of the administration away from everybody. That no other API gets such scopes
// is a rule of package catalog.
func (c Caller) mayChangeAPI(is apis.API) error {
	if is.Administers() {
		return c.must("the API of the administration")
	}
	return nil
}
