package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
)

func auditCommand(t *terminal) *cobra.Command {
	return group("audit", "Who changed what, when and why", auditList(t))
}

type eventJSON struct {
	ID      int64   `json:"id"`
	At      *string `json:"at"`
	Actor   string  `json:"actor"`
	Action  string  `json:"action"`
	Subject string  `json:"subject,omitempty"`
	// The names are the present ones, which may have changed since the event.
	ActorName   string            `json:"actor_name,omitempty"`
	SubjectName string            `json:"subject_name,omitempty"`
	UserName    string            `json:"user_name,omitempty"`
	Reason      string            `json:"reason,omitempty"`
	Details     map[string]string `json:"details,omitempty"`
}

func auditList(t *terminal) *cobra.Command {
	var (
		q              audit.Query
		subject, actor string
		action         string
		since          time.Duration
		shown          bound
		asJSON         bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List the newest events, oldest first", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := shown.check(cmd); err != nil {
				return err
			}
			if q.Action = audit.Action(action); !shown.all {
				q.Limit = shown.limit
			}
			if since > 0 {
				q.Since = t.now().Add(-since)
			}
			return t.withUsers(cmd, func(c *concerns, users *accounts.Users) (err error) {
				if cmd.Flags().Changed("subject") {
					of, err := c.called(cmd.Context(), users, subject)
					if err != nil {
						return err
					}
					q.Subjects = append(append(of.users, of.clients...), subject)
				}
				if cmd.Flags().Changed("actor") {
					if q.Actors, err = c.actorsCalled(cmd.Context(), users, actor); err != nil {
						return err
					}
				}
				events, older, err := c.store.AuditEvents(cmd.Context(), q)
				if err != nil {
					return err
				}
				list := t.printList(asJSON, "AT", "ACTOR", "ACTION", "SUBJECT", "REASON", "DETAILS")
				for e, err := range events {
					if err == nil {
						err = list.add(eventJSON{e.ID, instant(e.At), string(e.Actor), string(e.Action), e.Subject, e.ActorName, e.SubjectName, e.UserName, e.Reason, e.Details},
							text(e.At), visible(withName(string(e.Actor), e.ActorName)), e.Action, visible(withName(e.Subject, e.SubjectName)), visible(e.Reason), visible(detailsText(e)))
					}
					if err != nil {
						return err
					}
				}
				if older {
					defer shown.tellMore(t, "the newest events")
				}
				return list.end()
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&action, "action", "", "only this action, such as client.disable")
	f.StringVar(&subject, "subject", "", "only this subject: a user or client by name or id, an audience, a kid, a jti")
	f.StringVar(&actor, "actor", "", "only what this actor did: a user or client by name or id, or an actor as printed, such as cli:root for who ran a command")
	f.DurationVar(&since, "since", 0, "only what happened within this time, such as 24h")
	shown.bind(cmd, 1000, "the newest events")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// withName returns an id followed by its name in brackets, if it has one.
func withName(id, name string) string {
	if name == "" || name == id {
		return id
	}
	return id + " (" + name + ")"
}

func detailsText(e audit.Named) string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(e.Details)) {
		switch v := e.Details[k]; {
		case k == "user":
			all = append(all, k+"="+withName(v, e.UserName))
		case v != "":
			all = append(all, k+"="+v)
		}
	}
	return strings.Join(all, ", ")
}

// calledSo are the ids of the user and the clients with a name.
type calledSo struct{ users, clients []string }

// called finds a user by user name, and clients by their display name, which is not
// unique.
func (c *concerns) called(ctx context.Context, users *accounts.Users, name string) (of calledSo, err error) {
	u, err := users.ByName(ctx, name)
	switch {
	case err == nil:
		of.users = []string{u.ID}
	case !errors.Is(err, accounts.ErrNotFound):
		return calledSo{}, err
	}
	all, err := c.clients.List(ctx)
	for _, client := range all {
		if client.Name == name {
			of.clients = append(of.clients, client.ID)
		}
	}
	return of, err
}

// actorsCalled returns the actors that --actor may mean. A prefix says which kind of
// actor is meant; without one it may be any.
func (c *concerns) actorsCalled(ctx context.Context, users *accounts.Users, asked string) ([]audit.Actor, error) {
	actors := []audit.Actor{audit.Actor(asked)}
	kinds := map[string]func(id string) audit.Actor{"cli": audit.Operator, "client": audit.Client, "user": audit.User}
	kind, name, ok := strings.Cut(asked, ":")
	if !ok || kinds[kind] == nil {
		kind, name = "", asked
	}
	of, err := c.called(ctx, users, name)
	for k, ids := range map[string][]string{"cli": {name}, "client": append(of.clients, name), "user": append(of.users, name)} {
		for _, id := range ids {
			if kind == "" || kind == k {
				actors = append(actors, kinds[k](id))
			}
		}
	}
	return actors, err
}

// visible replaces control characters in text that others wrote. Otherwise it could
// move the cursor or forge a line of the output.
func visible[S ~string](s S) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return unicode.ReplacementChar
		}
		return r
	}, string(s))
}
