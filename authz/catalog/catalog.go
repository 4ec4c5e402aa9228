package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/config/limits"
)

// Catalog is all APIs there are, and the scopes that are of none.
type Catalog struct {
	store Store
	own   *apis.Own
	now   func() time.Time
	// held is the copy in memory; nil until the first Follow.
	held atomic.Pointer[map[string]apis.API]
	// fresh says whether held may be used; nil means never.
	fresh func() bool
}

// New returns the APIs in store, beside the server's own scopes. fresh says
// whether the copy that Follow keeps may be used; a command, which lives for one
// question, passes nil.
func New(store Store, own *apis.Own, now func() time.Time, fresh func() bool) *Catalog {
	return &Catalog{store: store, own: own, now: now, fresh: fresh}
}

// Own returns the scopes that the server itself understands.
func (c *Catalog) Own() *apis.Own { return c.own }

// ByAudience returns the API with that audience, in whichever of its Spellings, or
// ErrNotFound.
func (c *Catalog) ByAudience(ctx context.Context, audience string) (apis.API, error) {
	if c.fresh != nil && c.fresh() {
		// Loaded at the first poll, before which nothing is fresh.
		held := c.held.Load()
		if a, ok := spelt(*held, audience); ok {
			return a, nil
		}
		// It may have been created a moment ago: a no is never a stale one.
	}
	all, err := c.load(ctx)
	if err != nil {
		return apis.API{}, err
	}
	a, ok := spelt(all, audience)
	if !ok {
		return apis.API{}, ErrNotFound
	}
	return a, nil
}

// Several returns the APIs with these audiences, in their order. What is missing
// is left out.
func (c *Catalog) Several(ctx context.Context, audiences []string) ([]apis.API, error) {
	found := make([]apis.API, 0, len(audiences))
	if len(audiences) == 0 {
		return found, nil
	}
	var all map[string]apis.API
	if c.fresh != nil && c.fresh() {
		all = *c.held.Load()
	}
	for stored := all == nil; ; stored = true {
		if stored {
			var err error
			if all, err = c.load(ctx); err != nil {
				return nil, err
			}
		}
		found = found[:0]
		for _, audience := range audiences {
			if a, ok := all[audience]; ok {
				found = append(found, a)
			}
		}
		// As with one: a no is never a stale one.
		if stored || len(found) == len(audiences) {
			return found, nil
		}
	}
}

// Known returns those of some scopes that the server or any API understands, each
// once, and how many others there are.
func (c *Catalog) Known(ctx context.Context, scopes []string) (known []string, others int, err error) {
	var all map[string]apis.API
	if c.fresh != nil && c.fresh() {
		all = *c.held.Load()
	} else if all, err = c.load(ctx); err != nil {
		return nil, 0, err
	}
	understood := map[string]bool{}
	for _, a := range all {
		for _, scope := range a.Scopes {
			understood[scope] = true
		}
	}
	for i, scope := range scopes {
		switch {
		case slices.Contains(scopes[:i], scope):
		case understood[scope] || c.own.Has(scope):
			known = append(known, scope)
		default:
			others++
		}
	}
	return known, others, nil
}

func spelt(all map[string]apis.API, audience string) (apis.API, bool) {
	for _, spelling := range apis.Spellings(audience) {
		if a, ok := all[spelling]; ok {
			return a, true
		}
	}
	return apis.API{}, false
}

func (c *Catalog) load(ctx context.Context) (map[string]apis.API, error) {
	list, err := c.store.APIs(ctx)
	if err != nil {
		return nil, err
	}
	all := make(map[string]apis.API, len(list))
	for _, a := range list {
		all[a.Audience] = a
	}
	return all, nil
}

// Follow reloads the copy in memory when an API changed.
func (c *Catalog) Follow(ctx context.Context, changed []changes.Change) error {
	if changed != nil && !slices.ContainsFunc(changed, func(ch changes.Change) bool { return ch.Kind == changes.API }) {
		return nil
	}
	all, err := c.load(ctx)
	if err != nil {
		return err
	}
	c.held.Store(&all)
	return nil
}

// List returns all APIs, ordered by audience.
func (c *Catalog) List(ctx context.Context) ([]apis.API, error) { return c.store.APIs(ctx) }

// Create registers an API; it fills in ID and CreatedAt. Returns ErrInvalid or
// ErrExists.
func (c *Catalog) Create(ctx context.Context, a apis.API, by audit.Actor) (apis.API, error) {
	if err := validate(a); err != nil {
		return apis.API{}, err
	}
	if err := c.own.CheckNew(a.Scopes, nil); err != nil {
		return apis.API{}, err
	}
	a.ID = rand.Text()
	a.CreatedAt = c.now()
	a.TokenType = cmp.Or(a.TokenType, apis.ATJWT)
	err := c.store.CreateAPI(ctx, a, audit.Event{
		At: a.CreatedAt, Actor: by, Action: audit.APICreated, Subject: a.Audience,
		Details: details(a),
	})
	if err != nil {
		return apis.API{}, err
	}
	return a, nil
}

// validate refuses what an API cannot be, and a life of access tokens for which the
// server would not keep its keys.
func validate(a apis.API) error {
	if err := a.Validate(); err != nil {
		return err
	}
	if a.AccessTTL != 0 && (a.AccessTTL < limits.MinAccessTTL || a.AccessTTL > limits.MaxAccessTTL || a.AccessTTL%time.Second != 0) {
		return fmt.Errorf("%w: the access-token life %s is not a whole number of seconds from %s to %s", apis.ErrInvalid, a.AccessTTL, limits.MinAccessTTL, limits.MaxAccessTTL)
	}
	return nil
}

// Update lets edit change the API with that audience, in whichever of its
// Spellings, and says whether it did:
// several editors at once come one after the other, so edit works on what it is
// given, perhaps twice. What was issued stays; servers give and show scopes by what
// the API offers now. Returns ErrNotFound, ErrInvalid, or what edit returned.
func (c *Catalog) Update(ctx context.Context, audience string, edit func(*apis.API) error, reason string, by audit.Actor) (a apis.API, updated bool, err error) {
	of, err := c.ByAudience(ctx, audience)
	if err != nil {
		return apis.API{}, false, err
	}
	err = c.store.UpdateAPI(ctx, of.Audience, func(stored *apis.API) (*audit.Event, error) {
		was := *stored
		was.Scopes = slices.Clone(was.Scopes) // edit may change what it is given in place
		// A server of before there were texts may have taken a scope away and left them.
		was.ScopeTexts = was.ScopeTexts.Of(was.Scopes)
		stored.ScopeTexts = was.ScopeTexts.Clone()
		if err := edit(stored); err != nil {
			return nil, err
		}
		stored.TokenType = cmp.Or(stored.TokenType, apis.ATJWT)
		stored.LoseTexts(was.ScopeTexts)
		a = *stored
		if a.ID != was.ID || a.Audience != was.Audience {
			return nil, fmt.Errorf("%w: an update leaves the audience of an apis.API alone", apis.ErrInvalid)
		}
		details := changed(was, a)
		if updated = details != nil; !updated {
			return nil, nil
		}
		if err := validate(a); err != nil {
			return nil, err
		}
		if err := c.own.CheckNew(a.Scopes, was.Scopes); err != nil {
			return nil, err
		}
		return &audit.Event{At: c.now(), Actor: by, Action: audit.APIUpdated, Subject: of.Audience, Reason: reason, Details: details}, nil
	})
	if err != nil {
		return apis.API{}, false, err
	}
	return a, updated, nil
}

// Delete removes an API that no client names any more, by whichever of its Spellings. Returns ErrNotFound or
// ErrInUse.
func (c *Catalog) Delete(ctx context.Context, audience string, by audit.Actor) error {
	of, err := c.ByAudience(ctx, audience)
	if err != nil {
		return err
	}
	return c.store.DeleteAPI(ctx, of.Audience, audit.Event{
		At: c.now(), Actor: by, Action: audit.APIDeleted, Subject: of.Audience,
	})
}

// details are what the audit records of an API: all that can be changed.
func details(a apis.API) map[string]string {
	return map[string]string{
		"name": a.Name, "scope": strings.Join(a.Scopes, " "), "access_ttl": a.AccessTTL.String(), "roles": fmt.Sprint(a.Roles), "token_typ": string(a.TokenType),
		"scope_texts": a.ScopeTexts.String(),
	}
}

// changed are what the audit records of an update: of the texts, which can be many,
// those that changed.
func changed(was, is apis.API) map[string]string {
	was.ScopeTexts, is.ScopeTexts = was.ScopeTexts.Without(is.ScopeTexts), is.ScopeTexts.Without(was.ScopeTexts)
	return audit.Changed(details(was), details(is))
}
