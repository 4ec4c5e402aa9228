package administration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/revocation"
)

// ErrInUse: what is to be deleted has live grants. The error says how many.
var ErrInUse = errors.New("in use")

// ClientSettings are what a client is registered for, as far as it can be changed. What is
// nil stays as it is. The names are those of RFC 7591 section 2, where it has one.
type ClientSettings struct {
	Name                   *string          `json:"name,omitempty" doc:"The name that users see"`
	Grants                 *[]string        `json:"grant_types,omitempty" doc:"client_credentials, authorization_code, refresh_token, first_party"`
	RedirectURIs           *[]string        `json:"redirect_uris,omitempty" doc:"Compared exactly, except the port of a loopback address"`
	Scopes                 *[]string        `json:"scopes,omitempty" doc:"The scopes that the client may ask for"`
	Audiences              *[]string        `json:"audiences,omitempty" doc:"The APIs that the client may use; the first is the default"`
	Introspects            *[]string        `json:"introspects,omitempty" doc:"The APIs that the client is: it may introspect their tokens"`
	PostLogoutRedirectURIs *[]string        `json:"post_logout_redirect_uris,omitempty" doc:"Where users may return after sign-out; none means the redirect URIs"`
	InsecureRedirects      *bool            `json:"insecure_redirects,omitempty" doc:"Accept http redirect URIs that are not loopback addresses"`
	PKCE                   *string          `json:"pkce,omitempty" doc:"required, nonce or optional"`
	RefreshGrace           Nullable[string] `json:"refresh_grace,omitzero" required:"false" nullable:"true" doc:"For how long a repeated refresh gets the same answer, such as 30s; null for the server's default"`
	RefreshIDToken         *bool            `json:"refresh_id_token,omitempty" doc:"Whether a refresh brings an ID token"`
	IDTokenClaims          *bool            `json:"id_token_claims,omitempty" doc:"Whether ID tokens have the claims of the scopes"`
	IDTokenAlg             *string          `json:"id_token_signed_response_alg,omitempty" doc:"RS256, PS256, ES256 or EdDSA"`
	FirstParty             *bool            `json:"first_party,omitempty" doc:"Whether users are not asked for consent"`
	Hold                   *string          `json:"hold,omitempty" doc:"With first_party, where the refresh token is kept: memory or cookie"`
	Origins                *[]string        `json:"origins,omitempty" doc:"With hold cookie, the web origins of the app"`
}

// apply sets what is given.
func (s ClientSettings) apply(c *clients.Client) error {
	signedIn, follows := slices.Contains(c.Grants, clients.SignIn), isItsAudiences(c)
	set(&c.Name, s.Name)
	set(&c.Grants, s.Grants)
	set(&c.RedirectURIs, s.RedirectURIs)
	set(&c.Scopes, s.Scopes)
	set(&c.Audiences, s.Audiences)
	set(&c.Introspects, s.Introspects)
	set(&c.PostLogoutRedirectURIs, s.PostLogoutRedirectURIs)
	set(&c.InsecureRedirects, s.InsecureRedirects)
	set((*string)(&c.PKCE), s.PKCE)
	set(&c.IDTokenSigning.Alg, s.IDTokenAlg)
	set(&c.FirstParty, s.FirstParty)
	set((*string)(&c.Hold), s.Hold)
	set(&c.Origins, s.Origins)
	if s.RefreshIDToken != nil {
		c.NoRefreshIDToken = !*s.RefreshIDToken
	}
	if s.IDTokenClaims != nil {
		c.NoIDTokenClaims = !*s.IDTokenClaims
	}
	if err := s.applyGrace(c); err != nil {
		return err
	}
	if follows && len(c.Grants) == 0 && s.Introspects == nil {
		// Otherwise it would stay the API of before, and could go on introspecting its tokens.
		c.Introspects = slices.Clone(c.Audiences)
	}
	switch signsIn := slices.Contains(c.Grants, clients.SignIn); {
	case signsIn && s.FirstParty != nil && !c.FirstParty:
		return field.At(fmt.Errorf("%w: a client with the grant %s asks for the password itself, and users are not asked for consent", clients.ErrInvalid, clients.SignIn), "first_party")
	case signedIn && !signsIn && s.FirstParty == nil:
		// It was set because of the grant type, so it goes with the grant type.
		c.FirstParty = false
	}
	return nil
}

func (s ClientSettings) applyGrace(c *clients.Client) error {
	switch {
	case !s.RefreshGrace.Sent:
	case s.RefreshGrace.Value == nil:
		c.RefreshGrace = nil
	default:
		grace, err := time.ParseDuration(*s.RefreshGrace.Value)
		if err != nil {
			return field.At(fmt.Errorf("%w: the refresh grace is a time, such as 30s", clients.ErrInvalid), "refresh_grace")
		}
		c.RefreshGrace = &grace
	}
	return nil
}

// set writes a value, if there is one.
func set[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

// isItsAudiences reports whether a client is the credentials of its audiences, as one that
// is created without a grant type.
func isItsAudiences(c *clients.Client) bool {
	return len(c.Grants) == 0 && len(c.Introspects) > 0 && slices.Equal(slices.Sorted(slices.Values(c.Audiences)), c.Introspects)
}

// Clients is the administration of clients.
type Clients struct {
	registry *clients.Registry
	apis     *catalog.Catalog
	cuts     *revocation.Cuts
	// issuer is the URL of the server; empty for a command that runs without it.
	issuer string
}

// NewClients returns the administration of the clients in registry, which use the APIs in
// catalog. issuer may be empty for a command that does not know it: then it is not checked
// where a client's pages are.
func NewClients(registry *clients.Registry, catalog *catalog.Catalog, cuts *revocation.Cuts, issuer string) *Clients {
	return &Clients{registry, catalog, cuts, issuer}
}

// Get returns a client as it is stored now, or clients.ErrNotFound.
func (a *Clients) Get(ctx context.Context, id string) (clients.Client, error) {
	c, err := a.registry.Stored(ctx, id)
	if err != nil {
		return clients.Client{}, err
	}
	return *c, nil
}

// List returns all clients, ordered by id.
func (a *Clients) List(ctx context.Context) ([]clients.Client, error) { return a.registry.List(ctx) }

// Create registers a client. secret, if not empty, is its secret; otherwise one is made and
// returned, for a client that authenticates. Returns ErrForbidden, or what
// clients.Registry.Create does.
func (a *Clients) Create(ctx context.Context, by Caller, c clients.Client, settings ClientSettings, secret, reason string) (clients.Client, string, error) {
	if err := settings.apply(&c); err != nil {
		return clients.Client{}, "", err
	}
	admin, err := a.administering(ctx)
	if err != nil {
		return clients.Client{}, "", err
	}
	if err := by.mayChangeClient(admin, nil, &c); err != nil {
		return clients.Client{}, "", err
	}
	if err := a.onSite(c); err != nil {
		return clients.Client{}, "", err
	}
	wanted := c.ID
	c, made, err := a.registry.Create(ctx, c, secret, reason, by.Actor)
	if errors.Is(err, clients.ErrExists) {
		err = &ThereError{field.At(err, "client_id"), KindClient, wanted}
	}
	if secret != "" {
		made = "" // the caller chose it, and need not be shown it
	}
	return c, made, err
}

// Update changes a client whose version the caller knows, and returns it with warnings.
// Returns ErrForbidden, ErrStale, or what clients.Registry.Update does.
func (a *Clients) Update(ctx context.Context, by Caller, id, version string, settings ClientSettings, reason string) (c clients.Client, warnings []string, err error) {
	admin, err := a.administering(ctx)
	if err != nil {
		return clients.Client{}, nil, err
	}
	var was clients.Client
	c, changed, err := a.registry.Update(ctx, id, func(c *clients.Client) error {
		if err := Unchanged(c.Version(), version); err != nil {
			return err
		}
		was = *c
		if err := settings.apply(c); err != nil {
			return err
		}
		if err := by.mayChangeClient(admin, &was, c); err != nil {
			return err
		}
		return a.onSite(*c)
	}, reason, by.Actor)
	if err != nil || !changed {
		return c, nil, err
	}
	warnings = c.Warnings()
	if !slices.ContainsFunc(was.Introspects, func(audience string) bool { return !slices.Contains(c.Introspects, audience) }) {
		// Whoever takes some away says which it is to be.
		warnings = append(warnings, stillAPI(was, c)...)
	}
	return c, warnings, nil
}

// stillAPI warns of APIs for which a client may ask no longer, and whose tokens it may
// still introspect.
func stillAPI(was, is clients.Client) (warnings []string) {
	for _, audience := range was.Audiences {
		if !slices.Contains(is.Audiences, audience) && slices.Contains(is.Introspects, audience) {
			warnings = append(warnings, fmt.Sprintf("client %s still is the API %s: it may introspect its tokens, until: ingam client update %s --remove-introspects %s", is.ID, audience, is.ID, audience))
		}
	}
	return warnings
}

func (a *Clients) onSite(c clients.Client) error {
	if a.issuer == "" {
		return nil
	}
	return field.At(c.OnSite(a.issuer), "origins")
}

// Delete removes a client whose version the caller knows. Without force it refuses one
// with live grants. Returns ErrForbidden, ErrStale, ErrInUse or clients.ErrNotFound.
func (a *Clients) Delete(ctx context.Context, by Caller, id, version string, force bool, reason string) error {
	admin, err := a.administering(ctx)
	if err != nil {
		return err
	}
	if _, err := a.reach(ctx, by, id); err != nil {
		return err
	}
	if !force {
		ended, err := a.cuts.WouldEnd(ctx, changes.Client, id)
		if err != nil {
			return err
		}
		if ended.Grants > 0 {
			return fmt.Errorf("%w: %d grants of the client are live, and would end", ErrInUse, ended.Grants)
		}
	}
	return a.registry.Delete(ctx, id, func(c clients.Client) error {
		if err := by.mayChangeClient(admin, &c, nil); err != nil {
			return err
		}
		return Unchanged(c.Version(), version)
	}, reason, by.Actor)
}

// reach returns a client if the caller may change it.
func (a *Clients) reach(ctx context.Context, by Caller, id string) (clients.Client, error) {
	c, err := a.Get(ctx, id)
	if err != nil {
		return clients.Client{}, err
	}
	admin, err := a.administering(ctx)
	if err != nil {
		return clients.Client{}, err
	}
	return c, by.mayChangeClient(admin, &c, nil)
}

// administering returns the audience of the API of the administration, in a list; none if
// there is no such API.
func (a *Clients) administering(ctx context.Context) (audiences []string, err error) {
	all, err := a.apis.List(ctx)
	for _, is := range all {
		if is.Administers() {
			audiences = append(audiences, is.Audience)
		}
	}
	return audiences, err
}

// SetDisabled refuses a client everything until it is enabled again. Returns ErrForbidden
// or clients.ErrNotFound.
func (a *Clients) SetDisabled(ctx context.Context, by Caller, id string, disabled bool, reason string) (clients.Client, error) {
	if _, err := a.reach(ctx, by, id); err != nil {
		return clients.Client{}, err
	}
	change := a.registry.Enable
	if disabled {
		change = a.registry.Disable
	}
	if err := change(ctx, id, reason, by.Actor); err != nil {
		return clients.Client{}, err
	}
	return a.Get(ctx, id)
}

// AddSecret gives a client a second secret. Returns ErrForbidden, or what
// clients.Registry.AddSecret does.
func (a *Clients) AddSecret(ctx context.Context, by Caller, id, secret, reason string) (clients.Secret, string, error) {
	if _, err := a.reach(ctx, by, id); err != nil {
		return clients.Secret{}, "", err
	}
	s, made, err := a.registry.AddSecret(ctx, id, secret, reason, by.Actor)
	if secret != "" || changes.IsDryRun(ctx) {
		made = ""
	}
	return s, made, err
}

// RemoveSecret ends a secret of a client: the one with that id or, if it is empty, the
// older of two. Returns ErrForbidden, or what clients.Registry.RemoveSecret does.
func (a *Clients) RemoveSecret(ctx context.Context, by Caller, id, secretID, reason string) (clients.Secret, error) {
	if _, err := a.reach(ctx, by, id); err != nil {
		return clients.Secret{}, err
	}
	return a.registry.RemoveSecret(ctx, id, secretID, reason, by.Actor)
}

// mayChangeClient checks a change of a client, as it was and as it is to be; one of them is
// nil for a client that is created or deleted. Whoever may write clients could otherwise
// take over the administration: register a client for its scopes, or change the redirect
// URI of one that has them, and wait. The same goes for a client that is the API of the
// administration, with one of the audiences in admin, and for the id of the client of
// `ingam login`, which gets its scopes by the next bootstrap.
func (c Caller) mayChangeClient(admin []string, was, is *clients.Client) error {
	names := func(audience string) bool { _, is := apis.Registered(admin, audience); return is }
	for _, client := range []*clients.Client{was, is} {
		switch {
		case client == nil:
		case slices.ContainsFunc(client.Scopes, IsScope):
			return c.must("a client that may ask for scopes of the administration")
		case client.ID == LoginClient, slices.ContainsFunc(client.Audiences, names), slices.ContainsFunc(client.Introspects, names):
			return c.must("a client of the administration")
		}
	}
	return nil
}
