package clients

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

// held is how many clients a process keeps in memory at most.
const held = 10_000

// registered are the APIs that clients may be registered for.
type registered interface {
	// List returns all of them.
	List(ctx context.Context) ([]apis.API, error)
	// Own returns the scopes that the server itself understands.
	Own() *apis.Own
}

// Registry is the registered clients: it looks them up, from copies in memory where it
// can, and registers, changes and deletes them.
type Registry struct {
	store Store
	apis  registered
	now   func() time.Time
	pkce  PKCE
	// fresh says whether copies in memory may be used; nil means never.
	fresh  func() bool
	copies *otter.Cache[string, *Client]

	// A copy loaded while the client was being changed must not be kept: it
	// would outlive the news of the change. drops counts the news; a load
	// keeps its copy only if there was none meanwhile.
	mu    sync.Mutex
	drops uint64

	// Rings makes the keys for an algorithm that a client is the first to ask for. It may
	// be nil where no client is created or changed.
	Rings Rings
}

// NewRegistry returns the clients in store. fresh says whether the copies
// that Follow drops in time may be used; a command passes nil. pkce is the rule of
// new clients that say nothing else, and have a choice.
func NewRegistry(store Store, registered registered, now func() time.Time, fresh func() bool, pkce PKCE) *Registry {
	return &Registry{
		store: store, apis: registered, now: now, fresh: fresh, pkce: pkce,
		copies: otter.Must(&otter.Options[string, *Client]{MaximumSize: held}),
	}
}

// Client returns a client, disabled ones too, or ErrNotFound. What it returns
// is shared: do not write to it.
func (r *Registry) Client(ctx context.Context, id string) (*Client, error) {
	if validID(id) != nil {
		// Nothing like it was ever registered, and what is not even text is
		// not worth a question to the database.
		return nil, ErrNotFound
	}
	if r.fresh == nil || !r.fresh() {
		return r.Stored(ctx, id)
	}
	if c, ok := r.copies.GetIfPresent(id); ok {
		return c, nil
	}
	r.mu.Lock()
	before := r.drops
	r.mu.Unlock()
	c, err := r.store.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.drops == before {
		r.copies.Set(c.ID, &c) // not id, which is a part of a request's body
	}
	return &c, nil
}

// Stored returns the client as it is in the database at this moment.
func (r *Registry) Stored(ctx context.Context, id string) (*Client, error) {
	c, err := r.store.Client(ctx, id)
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// Follow drops the copies of the clients that changed.
func (r *Registry) Follow(_ context.Context, changed []changes.Change) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drops++
	if changed == nil {
		r.copies.InvalidateAll()
	}
	for _, ch := range changed {
		if ch.Kind == changes.Client || ch.Kind == changes.Enabled {
			r.copies.Invalidate(ch.Subject)
		}
	}
	return nil
}

// List returns all clients, ordered by id.
func (r *Registry) List(ctx context.Context) ([]Client, error) { return r.store.Clients(ctx) }

// Create registers a client; it fills in Secrets, Epoch and CreatedAt. A
// confidential client's secret is the one given or, if that is empty, a
// generated one; either way it is returned once and never again. Returns
// ErrInvalid, ErrExists or ErrUnknownAudience.
func (r *Registry) Create(ctx context.Context, c Client, secret, reason string, by audit.Actor) (Client, string, error) {
	offered, err := r.apis.List(ctx)
	if err != nil {
		return Client{}, "", err
	}
	c = r.completed(c, offered)
	if err := c.check(offered, r.apis.Own(), nil); err != nil {
		return Client{}, "", err
	}
	if c.ID == "." || c.ID == ".." {
		return Client{}, "", invalid("client_id", errors.New("a client id of dots alone is no part of an address, such as that of the client at the admin API"))
	}
	// Nobody has the key set for this client yet, so its first ID token can have a key
	// that was published a moment ago.
	// For a client that is there already no keys are made: the store refuses it.
	if _, err := r.store.Client(ctx, c.ID); errors.Is(err, ErrNotFound) {
		if _, err := r.ensure(ctx, apis.Signing{}, c.IDTokenSigning, by); err != nil {
			return Client{}, "", err
		}
	} else if err != nil {
		return Client{}, "", err
	}
	c.CreatedAt = r.now()
	c.IDTokenSigning = apis.Signing{}.To(c.IDTokenSigning.Wants(), c.CreatedAt, c.CreatedAt)
	c.Secrets = nil
	switch {
	case c.Auth != None:
		s, plain, err := newSecret(secret, c.CreatedAt)
		if err != nil {
			return Client{}, "", err
		}
		c.Secrets, secret = []Secret{s}, plain
	case secret != "":
		return Client{}, "", fmt.Errorf("%w: a public client has no secret", ErrInvalid)
	}
	err = r.store.CreateClient(ctx, c, audit.Event{
		At: c.CreatedAt, Actor: by, Action: audit.ClientCreated, Subject: c.ID, Reason: reason,
		Details: c.Details(),
	})
	if err != nil || changes.IsDryRun(ctx) {
		return c, "", err
	}
	c, err = r.store.Client(ctx, c.ID)
	return c, secret, err
}

// Completed returns what a new client would be registered for: with all that follows from
// what it says.
func (r *Registry) Completed(ctx context.Context, c Client) (Client, error) {
	offered, err := r.apis.List(ctx)
	if err != nil {
		return Client{}, err
	}
	return r.completed(c, offered), nil
}

func (r *Registry) completed(c Client, offered []apis.API) Client {
	c.introspectAudiences()
	c.complete(offered)
	switch {
	case c.PKCE != "":
	case c.mustUsePKCE() != "":
		c.PKCE = PKCERequired
	default:
		c.PKCE = r.pkce
	}
	return c
}

// Update lets edit change what a client is registered for, and says whether it did:
// several editors at once come one after the other, so edit works on what it is
// given, perhaps twice. What was issued stays; servers give and show scopes and APIs
// by what the client is registered for now, and what is taken away and given again
// is back in grants that had it. Returns ErrNotFound, ErrInvalid, ErrUnknownAudience,
// or what edit returned.
func (r *Registry) Update(ctx context.Context, id string, edit func(*Client) error, reason string, by audit.Actor) (c Client, changed bool, err error) {
	known, err := r.ensureEdited(ctx, id, edit, by)
	if err != nil {
		return Client{}, false, err
	}
	err = r.store.UpdateClient(ctx, id, func(stored *Client, offered []apis.API) (*audit.Event, error) {
		was := *stored
		before, lost := was.Details(), was.Unoffered(offered, r.apis.Own())
		if err := edit(stored); err != nil {
			return nil, err
		}
		if slices.Contains(was.Grants, SignIn) && !slices.Contains(stored.Grants, SignIn) {
			// They go with the grant that they belong to, unless they were asked for.
			if stored.Hold == was.Hold {
				stored.Hold = ""
			}
			if slices.Equal(stored.Origins, was.Origins) {
				stored.Origins = nil
			}
		}
		stored.complete(offered)
		if wants := stored.IDTokenSigning.Wants(); wants != was.IDTokenSigning.Wants() {
			stored.IDTokenSigning = was.IDTokenSigning.To(wants, known, r.now())
		}
		c = *stored
		if c.ID != was.ID || c.Auth != was.Auth || c.Disabled != was.Disabled || c.Epoch != was.Epoch || len(c.Secrets) != len(was.Secrets) {
			return nil, fmt.Errorf("%w: an update leaves the id, the authentication, the secrets and the state of a client alone", ErrInvalid)
		}
		details := audit.Changed(before, c.Details())
		if changed = details != nil; !changed {
			return nil, nil
		}
		if err := c.check(offered, r.apis.Own(), lost); err != nil {
			return nil, err
		}
		return &audit.Event{At: r.now(), Actor: by, Action: audit.ClientUpdated, Subject: id, Reason: reason, Details: details}, nil
	})
	if err != nil {
		return Client{}, false, err
	}
	return c, changed, nil
}

// complete fills in what follows from the rest of a registration, and writes the
// audiences of the client as their APIs do.
func (c *Client) complete(all []apis.API) {
	c.Audiences, c.Introspects = asRegistered(c.Audiences, all), asRegistered(c.Introspects, all)
	slices.Sort(c.Introspects)
	if !slices.Contains(c.Grants, SignIn) {
		return
	}
	// Whoever asks for passwords belongs to whoever keeps them.
	c.FirstParty = true
	switch {
	case c.Hold == "" && len(c.Origins) > 0:
		c.Hold = HoldCookie
	case c.Hold == "":
		c.Hold = HoldMemory
	}
}

// Details are what the audit records of a client: all that it is registered for.
func (c Client) Details() map[string]string {
	grace := ""
	if c.RefreshGrace != nil {
		grace = c.RefreshGrace.String()
	}
	return map[string]string{
		"name":          c.Name,
		"grants":        strings.Join(c.Grants, " "),
		"redirect_uris": strings.Join(c.RedirectURIs, " "),
		"scope":         strings.Join(c.Scopes, " "),
		"audiences":     strings.Join(c.Audiences, " "),
		"introspects":   strings.Join(c.Introspects, " "),
		"auth":          string(c.Auth),
		"first_party":   fmt.Sprint(c.FirstParty),
		"pkce":          string(c.PKCE),

		"insecure_redirects":        fmt.Sprint(c.InsecureRedirects),
		"post_logout_redirect_uris": strings.Join(c.PostLogoutRedirectURIs, " "),
		"refresh_grace":             grace,
		"refresh_id_token":          fmt.Sprint(!c.NoRefreshIDToken),
		"id_token_claims":           fmt.Sprint(!c.NoIDTokenClaims),
		"id_token_alg":              c.IDTokenSigning.Wants(),
		"hold":                      string(c.Hold),
		"origins":                   strings.Join(c.Origins, " "),
	}
}

// Version is another one after every change of what an administrator sees of the client.
func (c Client) Version() string {
	facts := c.Details()
	facts["id"], facts["disabled"], facts["id_token_alg_from"] = c.ID, fmt.Sprint(c.Disabled), c.IDTokenSigning.From.UTC().String()
	for _, s := range c.Secrets {
		facts["secret "+s.ID] = ""
	}
	return changes.Version(facts)
}

// Disable refuses the client everything until it is enabled again; what was
// issued to it does not stand meanwhile. Returns ErrNotFound.
func (r *Registry) Disable(ctx context.Context, id, reason string, by audit.Actor) error {
	return r.store.SetClientDisabled(ctx, id, true, audit.Event{
		At: r.now(), Actor: by, Action: audit.ClientDisabled, Subject: id, Reason: reason,
	})
}

// Enable lets a disabled client be used again. Returns ErrNotFound.
func (r *Registry) Enable(ctx context.Context, id, reason string, by audit.Actor) error {
	return r.store.SetClientDisabled(ctx, id, false, audit.Event{
		At: r.now(), Actor: by, Action: audit.ClientEnabled, Subject: id, Reason: reason,
	})
}

// Delete removes the client; what was issued to it no longer stands, not even
// if the id is registered again. Returns ErrNotFound, or what allow returns of the client
// as it is when no editor can come in between; nil allows it.
func (r *Registry) Delete(ctx context.Context, id string, allow func(Client) error, reason string, by audit.Actor) error {
	return r.store.DeleteClient(ctx, id, allow, audit.Event{
		At: r.now(), Actor: by, Action: audit.ClientDeleted, Subject: id, Reason: reason,
	})
}
