package administration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/field"
)

// ErrOtherPlan: what there is has changed since the plan was made.
var ErrOtherPlan = errors.New("something was changed since the plan was made: look at the plan again")

// Desired is what an installation is to have: what stands in files. What a record does not
// say is as in a new one that does not say it.
type Desired struct {
	APIs           []DesiredAPI           `json:"apis,omitempty"`
	Clients        []DesiredClient        `json:"clients,omitempty"`
	Administrators []DesiredAdministrator `json:"administrators,omitempty"`
}

// DesiredClient is a client that there is to be.
type DesiredClient struct {
	ID     string `json:"client_id"`
	Auth   string `json:"token_endpoint_auth_method" doc:"client_secret_basic, client_secret_post or none"`
	Secret string `json:"client_secret,omitempty" doc:"The secret that is to be live; without it, the secrets stay as they are"`
	ClientSettings
}

// DesiredAPI is an API that there is to be.
type DesiredAPI struct {
	Audience string `json:"audience"`
	APISettings
}

// DesiredAdministrator is a user who is to hold these roles of the administration, and no
// other ones of it.
type DesiredAdministrator struct {
	Username string   `json:"username"`
	Roles    []string `json:"roles"`
}

// Together makes all changes of work one transaction; *storage.Store does.
type Together interface {
	Together(ctx context.Context, work func(ctx context.Context) error) error
}

// Apply brings an installation to what files say.
type Apply struct {
	store   Marks
	apis    *APIs
	clients *Clients
	users   *Users
}

// NewApply returns what applies files to these records in store.
func NewApply(store Marks, apis *APIs, clients *Clients, users *Users) *Apply {
	return &Apply{store, apis, clients, users}
}

// Apply makes all changes that there are to make, in one transaction, or none; in a dry run
// it says which. With prune it also deletes what a file once made, and is in none any more.
// plan, if not empty, is the version of the plan that the caller has seen. Returns
// ErrOtherPlan, ErrForbidden, or what the concerns return, about a member of what is
// desired.
func (a *Apply) Apply(ctx context.Context, by Caller, d Desired, prune bool, plan, reason string) (p Plan, err error) {
	if err := d.validate(); err != nil {
		return Plan{}, err
	}
	err = a.store.Together(ctx, func(ctx context.Context) error {
		p = Plan{}
		marks, err := readMarks(ctx, a.store)
		if err != nil {
			return err
		}
		do := applying{Apply: a, by: by, reason: reason, plan: &p, marks: marks}
		if err := do.all(ctx, d, prune); err != nil {
			return err
		}
		if plan != "" && plan != p.Version() {
			return ErrOtherPlan
		}
		return nil
	})
	if changes.IsDryRun(ctx) {
		for i := range p.Steps {
			p.Steps[i].Secret = "" // which nobody will have
		}
	}
	return p, err
}

// applying is one application, within its transaction.
type applying struct {
	*Apply
	by     Caller
	reason string
	plan   *Plan
	marks  marks
}

// step adds a step to the plan, and marks the record as one of a file.
func (a applying) step(ctx context.Context, s Step, m Mark) error {
	a.plan.Steps = append(a.plan.Steps, s)
	m.Kind, m.ID = s.Kind, s.ID
	return a.store.MarkApplied(ctx, m)
}

func (a applying) all(ctx context.Context, d Desired, prune bool) error {
	if err := a.may(d, prune); err != nil {
		return err
	}
	for i, api := range d.APIs {
		if err := a.api(ctx, api); err != nil {
			return field.At(named("API "+api.Audience, err), "apis", i)
		}
	}
	for i, c := range d.Clients {
		if err := a.client(ctx, c); err != nil {
			return field.At(named("client "+c.ID, err), "clients", i)
		}
	}
	// Whoever is to hold All comes first, so that the last one who does can hand it over.
	for _, all := range []bool{true, false} {
		for i, u := range d.Administrators {
			if slices.Contains(u.Roles, All) != all {
				continue
			}
			if err := a.administrator(ctx, u); err != nil {
				return field.At(named("user "+u.Username, err), "administrators", i)
			}
		}
	}
	if !prune {
		return nil
	}
	if err := a.pruneAdministrators(ctx, d); err != nil {
		return err
	}
	// Clients name APIs, and so go first.
	if err := a.pruneClients(ctx, d); err != nil {
		return err
	}
	return a.pruneAPIs(ctx, d)
}

// may refuses an application by a caller who could not make its changes one by one.
func (a applying) may(d Desired, prune bool) error {
	for scope, needed := range map[string]bool{
		APIsWrite: prune || len(d.APIs) > 0, ClientsWrite: prune || len(d.Clients) > 0, All: prune || len(d.Administrators) > 0,
	} {
		if needed && !a.by.May(scope) {
			return lacks(scope)
		}
	}
	return nil
}

// named says which record an error is about.
func named(what string, err error) error { return fmt.Errorf("%s: %w", what, err) }

// validate refuses a record that is there twice: which of the two is meant?
func (d Desired) validate() error {
	return errors.Join(
		noneTwice("apis", d.APIs, func(a DesiredAPI) string { return a.Audience }, sameAudience, apis.ErrInvalid),
		noneTwice("clients", d.Clients, func(c DesiredClient) string { return c.ID }, sameID, clients.ErrInvalid),
		noneTwice("administrators", d.Administrators, func(u DesiredAdministrator) string { return u.Username }, sameName, accounts.ErrInvalid),
	)
}

// sameAudience reports whether two audiences are one API's.
func sameAudience(a, b string) bool { return slices.Contains(apis.Spellings(a), b) }

func sameID(a, b string) bool { return a == b }

// sameName reports whether two user names are one user's.
func sameName(a, b string) bool {
	form := accounts.EmailForm(a)
	return a == b || form != "" && form == accounts.EmailForm(b)
}

func noneTwice[T any](member string, list []T, id func(T) string, same func(a, b string) bool, invalid error) error {
	for i, record := range list {
		if slices.ContainsFunc(list[:i], func(other T) bool { return same(id(other), id(record)) }) {
			return field.At(fmt.Errorf("%w: %s is there twice", invalid, id(record)), member, i)
		}
	}
	return nil
}

// WantsKeys reports whether keys for another algorithm than the default may have to be made.
func (d Desired) WantsKeys() bool {
	other := func(alg *string) bool { return alg != nil && *alg != apis.DefaultAlg }
	return slices.ContainsFunc(d.APIs, func(a DesiredAPI) bool { return other(a.SigningAlg) || a.EncryptionKey.Value != nil }) ||
		slices.ContainsFunc(d.Clients, func(c DesiredClient) bool { return other(c.IDTokenAlg) })
}
