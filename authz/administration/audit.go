package administration

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/authz/clients"
)

// Asked selects events of the audit log by what an administrator knows. A zero field
// selects all.
type Asked struct {
	Action audit.Action
	// Subject is a user or a client by name or id, or any other subject as it is written.
	Subject string
	// NoSubject selects changes to the whole server; with Subject, these as well.
	NoSubject bool
	// Actor is a user or a client by name or id, or an actor as it is written.
	Actor string
	// Since selects what happened then or later; Until, what happened before it.
	Since, Until time.Time
	// After selects events with a greater ID.
	After       int64
	NewestFirst bool
}

// Audit is the audit log, for administrators.
type Audit struct {
	log     audit.Store
	users   *accounts.Users
	clients *clients.Registry
	chain   *chain.Chain
}

// NewAudit returns the audit log, in which users and clients are found by their names, and
// which is verified by its chain.
func NewAudit(log audit.Store, users *accounts.Users, clients *clients.Registry, chain *chain.Chain) *Audit {
	return &Audit{log, users, clients, chain}
}

// Find returns the query for what is asked.
func (a *Audit) Find(ctx context.Context, asked Asked) (audit.Query, error) {
	q := audit.Query{Action: asked.Action, Since: asked.Since, Until: asked.Until, After: asked.After, NewestFirst: asked.NewestFirst}
	if asked.Subject != "" {
		of, err := a.called(ctx, asked.Subject)
		if err != nil {
			return audit.Query{}, err
		}
		q.Subjects = append(append(of.users, of.clients...), asked.Subject)
	}
	if asked.NoSubject {
		q.Subjects = append(q.Subjects, "")
	}
	var err error
	if asked.Actor != "" {
		q.Actors, err = a.actorsCalled(ctx, asked.Actor)
	}
	return q, err
}

// Part returns the first events of a query; see audit.Store.
func (a *Audit) Part(ctx context.Context, q audit.Query, most int) (audit.Part, error) {
	return a.log.AuditPart(ctx, q, most)
}

// calledSo are the ids of the user and the clients with a name.
type calledSo struct{ users, clients []string }

// called finds a user by user name, and clients by their display name, which is not
// unique.
func (a *Audit) called(ctx context.Context, name string) (of calledSo, err error) {
	u, err := a.users.ByName(ctx, name)
	switch {
	case err == nil:
		of.users = []string{u.ID}
	case !errors.Is(err, accounts.ErrNotFound):
		return calledSo{}, err
	}
	all, err := a.clients.List(ctx)
	for _, client := range all {
		if client.Name == name {
			of.clients = append(of.clients, client.ID)
		}
	}
	return of, err
}

// actorsCalled returns the actors that somebody may mean. A prefix says which kind of actor
// is meant; without one it may be any.
func (a *Audit) actorsCalled(ctx context.Context, asked string) ([]audit.Actor, error) {
	actors := []audit.Actor{audit.Actor(asked)}
	kinds := map[string]func(id string) audit.Actor{"cli": audit.Operator, "client": audit.Client, "user": audit.User}
	kind, name, ok := strings.Cut(asked, ":")
	if !ok || kinds[kind] == nil {
		kind, name = "", asked
	}
	of, err := a.called(ctx, name)
	for k, ids := range map[string][]string{"cli": {name}, "client": append(of.clients, name), "user": append(of.users, name)} {
		for _, id := range ids {
			if kind == "" || kind == k {
				actors = append(actors, kinds[k](id))
			}
		}
	}
	return actors, err
}
