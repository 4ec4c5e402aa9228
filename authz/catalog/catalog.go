package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/config/limits"
)

// Catalog looks up, creates, changes and deletes the registered APIs. It also knows the
// scopes that belong to no API, but to the server itself.
type Catalog struct {
	store Store
	own   *apis.Own
	now   func() time.Time
	// held is the copy in memory, by audience; nil until the first Follow.
	held atomic.Pointer[map[string]apis.API]
	// fresh says whether held may be used; nil means never.
	fresh func() bool

	// Rings makes the keys for an algorithm that an API is the first to ask for, and the
	// secrets that are shared with APIs. It may be nil where no API is created or changed.
	Rings Rings
}

// New returns the catalog of the APIs in store and the server's own scopes. fresh says
// whether the copy in memory, which Follow keeps up to date, may be used. A command
// passes nil: it runs too briefly for a copy.
func New(store Store, own *apis.Own, now func() time.Time, fresh func() bool) *Catalog {
	return &Catalog{store: store, own: own, now: now, fresh: fresh}
}

// Own returns the scopes that the server itself understands.
func (c *Catalog) Own() *apis.Own { return c.own }

// ByAudience returns the API with that audience, in any of its spellings (see
// apis.Spellings), or ErrNotFound.
func (c *Catalog) ByAudience(ctx context.Context, audience string) (apis.API, error) {
	if c.fresh != nil && c.fresh() {
		// The copy is there: nothing is fresh before the first poll has loaded it.
		held := c.held.Load()
		if a, ok := spelt(*held, audience); ok {
			return a, nil
		}
		// The API may have been created a moment ago: ask the database.
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

// Several returns the APIs with these audiences, in the same order. It leaves out
// audiences for which there is no API.
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
		// If the copy in memory lacks one, ask the database, as ByAudience does.
		if stored || len(found) == len(audiences) {
			return found, nil
		}
	}
}

// Known returns those of the scopes that the server or any API understands, each once,
// and how many others there are.
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

// Follow reloads the copy in memory when an API has changed (see changes.Follower).
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

// Stored returns the API that ref names, as it is in the database at this moment, or
// ErrNotFound. ref is its id or its audience, in any spelling. Nobody chooses an id, so it
// comes first: an audience that is written like the id of another API names that other one.
func (c *Catalog) Stored(ctx context.Context, ref string) (apis.API, error) {
	list, err := c.store.APIs(ctx)
	if err != nil {
		return apis.API{}, err
	}
	if i := slices.IndexFunc(list, func(a apis.API) bool { return a.ID == ref }); i >= 0 {
		return list[i], nil
	}
	for _, spelling := range apis.Spellings(ref) {
		if i := slices.IndexFunc(list, func(a apis.API) bool { return a.Audience == spelling }); i >= 0 {
			return list[i], nil
		}
	}
	return apis.API{}, ErrNotFound
}

// Create registers an API; it fills in ID and CreatedAt. Returns apis.ErrInvalid, ErrExists
// or ErrIsClient.
func (c *Catalog) Create(ctx context.Context, a apis.API, reason string, by audit.Actor) (apis.API, error) {
	if err := takesNone(a.Scopes); err != nil {
		return apis.API{}, err
	}
	return c.create(ctx, a, reason, by)
}

// CreateAdministration is Create for the API of the administration, which alone offers
// scopes of the administration. Returns ErrExists if there is such an API already, unless
// that has the audience former: the caller then deletes that one in the same transaction.
func (c *Catalog) CreateAdministration(ctx context.Context, a apis.API, former, reason string, by audit.Actor) (apis.API, error) {
	is, err := c.Administration(ctx)
	if err == nil && is.Audience != former {
		return apis.API{}, fmt.Errorf("%w: %s is the API of the administration", ErrExists, is.Audience)
	}
	if err != nil && !errors.Is(err, ErrNotFound) {
		return apis.API{}, err
	}
	return c.create(ctx, a, reason, by)
}

// Administration returns the API of the administration, or ErrNotFound.
func (c *Catalog) Administration(ctx context.Context) (apis.API, error) {
	list, err := c.store.APIs(ctx)
	if err != nil {
		return apis.API{}, err
	}
	if i := slices.IndexFunc(list, apis.API.Administers); i >= 0 {
		return list[i], nil
	}
	return apis.API{}, ErrNotFound
}

func (c *Catalog) create(ctx context.Context, a apis.API, reason string, by audit.Actor) (apis.API, error) {
	if err := validate(a); err != nil {
		return apis.API{}, err
	}
	if err := c.own.CheckNew(a.Scopes, nil); err != nil {
		return apis.API{}, err
	}
	a.TokenType = cmp.Or(a.TokenType, apis.ATJWT)
	// Nobody has the key set for this API yet, so its first token can have a key that was
	// published a moment ago. For an API that is there already no keys are made: the store
	// refuses it.
	if _, err := c.ByAudience(ctx, a.Audience); errors.Is(err, ErrNotFound) {
		if _, err := c.ensure(ctx, apis.API{}, a, by); err != nil {
			return apis.API{}, err
		}
	} else if err != nil {
		return apis.API{}, err
	}
	a.ID = rand.Text()
	a.CreatedAt = c.now()
	a.Signing = apis.Signing{}.To(a.Signing.Wants(), a.CreatedAt, a.CreatedAt)
	if err := c.share(&a); err != nil {
		return apis.API{}, err
	}
	err := c.store.CreateAPI(ctx, a, audit.Event{
		At: a.CreatedAt, Actor: by, Action: audit.APICreated, Subject: a.Audience, Reason: reason,
		Details: Details(a),
	})
	if err != nil {
		return apis.API{}, located(err)
	}
	return a, nil
}

// located says which member of an API is taken.
func located(err error) error {
	switch {
	case errors.Is(err, ErrExists):
		return field.At(err, "audience")
	case errors.Is(err, ErrIsClient):
		return field.At(err, "token_typ")
	}
	return err
}

// takesNone refuses scopes of the administration.
func takesNone(scopes []string) error {
	i := slices.IndexFunc(scopes, apis.IsAdministration)
	if i < 0 {
		return nil
	}
	return apis.Invalid(fmt.Errorf("the scope %s is one of the administration; call the API's another name", scopes[i]), "scopes", i)
}

// validate returns an error if a field of the API is not acceptable, or if its access
// tokens could live longer than the server keeps the keys that signed them.
func validate(a apis.API) error {
	if err := a.Validate(); err != nil {
		return err
	}
	if err := validEncryption(a.EncryptionJWK); err != nil {
		return err
	}
	if a.AccessTTL != 0 && (a.AccessTTL < limits.MinAccessTTL || a.AccessTTL > limits.MaxAccessTTL || a.AccessTTL%time.Second != 0) {
		return apis.Invalid(fmt.Errorf("the access-token life %s is not a whole number of seconds from %s to %s", a.AccessTTL, limits.MinAccessTTL, limits.MaxAccessTTL), "access_ttl")
	}
	return nil
}

// Update lets edit change the API that ref names (see Stored), and reports whether it
// changed anything. Updates at the same time come one after the other, so edit may be
// called twice, and must work on the API that it is given. Tokens and grants stay valid;
// but of their scopes only those count that the API still offers. Returns ErrNotFound,
// apis.ErrInvalid, ErrIsClient, or what edit returned.
func (c *Catalog) Update(ctx context.Context, ref string, edit func(*apis.API) error, reason string, by audit.Actor) (a apis.API, updated bool, err error) {
	of, known, err := c.ensureEdited(ctx, ref, edit, by)
	if err != nil {
		return apis.API{}, false, err
	}
	err = c.store.UpdateAPI(ctx, of.Audience, func(stored *apis.API) (*audit.Event, error) {
		if stored.ID != of.ID { // deleted and made again
			return nil, ErrNotFound
		}
		was := *stored
		was.Scopes = slices.Clone(was.Scopes) // edit may change the slice in place
		// An older version, which knows no texts, may have removed a scope and left
		// its text.
		was.ScopeTexts = was.ScopeTexts.Of(was.Scopes)
		stored.ScopeTexts = was.ScopeTexts.Clone()
		if err := edit(stored); err != nil {
			return nil, err
		}
		stored.TokenType = cmp.Or(stored.TokenType, apis.ATJWT)
		if wants := stored.Signing.Wants(); wants != was.Signing.Wants() {
			stored.Signing = was.Signing.To(wants, known, c.now())
		}
		if err := c.share(stored); err != nil {
			return nil, err
		}
		stored.LoseTexts(was.ScopeTexts)
		a = *stored
		details := changed(was, a)
		if updated = details != nil; !updated {
			return nil, nil
		}
		if err := c.mayBecome(was, a); err != nil {
			return nil, err
		}
		return &audit.Event{At: c.now(), Actor: by, Action: audit.APIUpdated, Subject: of.Audience, Reason: reason, Details: details}, nil
	})
	if err != nil {
		return apis.API{}, false, located(err)
	}
	return a, updated, nil
}

// ensureEdited makes keys for what an edit asks for, unless it would be refused. That takes
// a while, and so happens before the transaction in which the API is changed. It returns
// the API as it is, and what ensure does.
func (c *Catalog) ensureEdited(ctx context.Context, ref string, edit func(*apis.API) error, by audit.Actor) (of apis.API, known time.Time, err error) {
	if of, err = c.Stored(ctx, ref); err != nil {
		return apis.API{}, time.Time{}, err
	}
	of.ScopeTexts = of.ScopeTexts.Of(of.Scopes)
	wanted := of
	wanted.Scopes, wanted.ScopeTexts = slices.Clone(of.Scopes), of.ScopeTexts.Clone()
	if err := edit(&wanted); err != nil {
		return apis.API{}, time.Time{}, err
	}
	wanted.LoseTexts(of.ScopeTexts)
	if changed(of, wanted) != nil {
		if err := c.mayBecome(of, wanted); err != nil {
			return apis.API{}, time.Time{}, err
		}
	}
	known, err = c.ensure(ctx, of, wanted, by)
	return of, known, err
}

// mayBecome refuses an update to what an API cannot be, or cannot be any longer.
func (c *Catalog) mayBecome(was, is apis.API) error {
	if is.ID != was.ID || is.Audience != was.Audience {
		return fmt.Errorf("%w: an update leaves the audience of an API alone", apis.ErrInvalid)
	}
	switch {
	case !was.Administers():
		if err := takesNone(is.Scopes); err != nil {
			return err
		}
	case !is.Administers():
		return apis.Invalid(errors.New("the API of the administration stays it"), "scopes")
	}
	if err := validate(is); err != nil {
		return err
	}
	return c.own.CheckNew(is.Scopes, was.Scopes)
}

// Delete removes the API that ref names (see Stored). Returns ErrNotFound, ErrInUse if a
// client still names the audience, or what allow returns of the API as it is when no editor
// can come in between; nil allows it.
func (c *Catalog) Delete(ctx context.Context, ref string, allow func(apis.API) error, reason string, by audit.Actor) error {
	of, err := c.Stored(ctx, ref)
	if err != nil {
		return err
	}
	return c.store.DeleteAPI(ctx, of.Audience, func(a apis.API) error {
		if a.ID != of.ID { // deleted and made again
			return ErrNotFound
		}
		if allow == nil {
			return nil
		}
		return allow(a)
	}, audit.Event{
		At: c.now(), Actor: by, Action: audit.APIDeleted, Subject: of.Audience, Reason: reason,
	})
}
