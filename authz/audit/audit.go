package audit

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"
)

// Action names a kind of change, as "subject.verb".
type Action string

// The actions. Those about keys are in package keys, which imports no other package of
// Ingam.
const (
	APICreated          Action = "api.create"
	APIUpdated          Action = "api.update"
	APIDeleted          Action = "api.delete"
	APISecretAdded      Action = "api.secret.add"
	APISecretUsed       Action = "api.secret.use"
	APISecretRemoved    Action = "api.secret.remove"
	APISecretsResealed  Action = "api.secret.reseal"
	ClientCreated       Action = "client.create"
	ClientUpdated       Action = "client.update"
	ClientDisabled      Action = "client.disable"
	ClientEnabled       Action = "client.enable"
	ClientDeleted       Action = "client.delete"
	ClientSecretAdded   Action = "client.secret.add"
	ClientSecretRemoved Action = "client.secret.remove"
	UserCreated         Action = "user.create"
	UserUpdated         Action = "user.update"
	UserDisabled        Action = "user.disable"
	UserEnabled         Action = "user.enable"
	UserDeleted         Action = "user.delete"
	UserPasswordSet     Action = "user.password"
	UserLinkMade        Action = "user.link"
	// SignInRefused stands for one or more refused sign-ins: its details say how many.
	// It has no subject if there is no user with the name that was typed.
	SignInRefused Action = "sign_in.refuse"
	SessionBegun  Action = "session.begin"
	SessionEnded  Action = "session.end"
	ConsentGiven  Action = "consent.give"
	ConsentTaken  Action = "consent.take_back"
	TokenCut      Action = "cut.token"
	GrantCut      Action = "cut.grant"
	UserCut       Action = "cut.user"
	ClientCut     Action = "cut.client"
	EverythingCut Action = "cut.everything"
	// GrantBegun: a client got its first tokens for a user.
	GrantBegun Action = "grant.begin"
	// GrantReused and CodeReused: a refresh token or a code that may be used once was
	// used again, so the grant was revoked.
	GrantReused Action = "grant.reuse"
	CodeReused  Action = "code.reuse"

	IssuerChanged    Action = "server.issuer"
	DatabaseRestored Action = "database.restore"

	StatusListOpened Action = "status_list.open"
	StatusListClosed Action = "status_list.close"
)

// Cuts are the actions of those who revoke something.
var Cuts = []Action{TokenCut, GrantCut, UserCut, ClientCut, EverythingCut}

// Event is one entry of the audit log.
type Event struct {
	// ID orders events that one database committed; zero until stored.
	ID int64
	At time.Time

	Actor  Actor
	Action Action
	// Subject is the id of the record that was changed: a client id, an audience, a
	// kid, a jti. Empty for a change to the whole server, or where there is no record.
	Subject string
	// Reason is what the actor gave as the reason; may be empty.
	Reason string
	// Details are further facts, such as the fields a client was created
	// with. Never a secret.
	Details map[string]string
}

// Changed returns the details of an update. was and is are the details before and after
// it, with the names that the event of a creation uses. Of each detail that changed, the
// result has the new value under its name, and the old one under former_ and its name.
// also names other fields that changed, whose values are not recorded. Changed returns
// nil if nothing changed.
func Changed(was, is map[string]string, also ...string) map[string]string {
	names, details := slices.Clone(also), map[string]string{}
	for name := range is {
		if is[name] != was[name] {
			names = append(names, name)
			details[name], details["former_"+name] = is[name], was[name]
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	details["changed"] = strings.Join(names, " ")
	return details
}

// Named is an event with the present names of those whose ids are in it. A name is empty
// if the user or client does not exist (any more).
type Named struct {
	Event
	ActorName, SubjectName string
	// UserName is the name of the user in the details, who owns the subject.
	UserName string
}

// Moment is when something was done, and how many times, by one event.
type Moment struct {
	At    time.Time
	Times int
}

// About reports whether the event's subject is the id of a user or of a client. If both
// are false, it is the id of something that has no name.
func (e Event) About() (user, client bool) {
	kind, _, _ := strings.Cut(string(e.Action), ".")
	switch e.Action {
	case UserCut:
		return true, false
	case ClientCut:
		return false, true
	}
	return kind == "user" || kind == "sign_in", kind == "client" || kind == "consent"
}

// Query selects events. A zero field selects all.
type Query struct {
	Action Action
	// An event must have one of Subjects, and one of Actors.
	Subjects []string
	Actors   []Actor
	// Since selects what happened then or later; Until, what happened before it.
	Since, Until time.Time
	// After selects events with a greater ID; Before, those with a lower one.
	After, Before int64
	// NewestFirst is the order.
	NewestFirst bool
}

// Goes returns the query for what comes after an event, in its order.
func (q Query) Goes(on int64) Query {
	if q.NewestFirst {
		q.Before = on
	} else {
		q.After = on
	}
	return q
}

// Part is some of the events that a query selects, in its order.
type Part struct {
	Events []Named
	// More is whether there may be more events after Last, which is the ID of the last
	// event that was looked at.
	More bool
	Last int64
}

// Store reads the audit log. (Events are written by each concern's own store, together
// with the change.)
type Store interface {
	// AuditPart returns the first events that q selects, at most that many. It looks at a
	// bounded number of events, so there may be less of them, or none, and more to come.
	AuditPart(ctx context.Context, q Query, most int) (Part, error)
}

// AtOnce is how many events are read at a time, where all are read.
const AtOnce = 500

// Read returns all events that q selects. It reads them in parts, so that a long log does
// not fill memory, and no statement stays open.
func Read(ctx context.Context, s Store, q Query) iter.Seq2[Named, error] {
	return func(yield func(Named, error) bool) {
		for {
			part, err := s.AuditPart(ctx, q, AtOnce)
			if err != nil {
				yield(Named{}, err)
				return
			}
			for _, ev := range part.Events {
				if !yield(ev, nil) {
					return
				}
			}
			if !part.More {
				return
			}
			q = q.Goes(part.Last)
		}
	}
}
