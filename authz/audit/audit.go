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

// The actions there are. A key's actions have the same names in package keys,
// which imports nothing of ours.
const (
	APICreated          Action = "api.create"
	APIUpdated          Action = "api.update"
	APIDeleted          Action = "api.delete"
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
	// SignInRefused is of several refusals: its details say how many. It has no
	// subject if nobody is known by what was typed.
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
	// GrantReused and CodeReused: what may be used once was used again, and the
	// grant was revoked for it.
	GrantReused Action = "grant.reuse"
	CodeReused  Action = "code.reuse"

	IssuerChanged    Action = "server.issuer"
	DatabaseRestored Action = "database.restore"

	StatusListOpened Action = "status_list.open"
	StatusListClosed Action = "status_list.close"
)

// Event is one entry of the audit log.
type Event struct {
	// ID orders events that one database committed; zero until stored.
	ID int64
	At time.Time

	Actor  Actor
	Action Action
	// Subject is the record acted upon: a client id, an audience, a kid, a
	// jti. Empty for a change to the whole server, or where there is no record.
	Subject string
	// Reason is what the actor gave as the reason; may be empty.
	Reason string
	// Details are further facts, such as the fields a client was created
	// with. Never a secret.
	Details map[string]string
}

// Changed returns the details of an update: what changed, as it is now under the
// name that it has in the details of the creation, and as it was under former_ and
// that name. was and is are all details that a creation has; also names what else
// changed, whose values are not recorded. It returns nil if nothing changed.
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

// Named is an event with the names that those it tells of have now. They are empty
// where there is nobody of that id (any more).
type Named struct {
	Event
	ActorName, SubjectName string
	// UserName is that of the user in the details, who is the subject's owner.
	UserName string
}

// About returns whose id the subject is: a user's, a client's, or, where both are
// false, something else that has no other name.
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

// Query selects events. Zero fields do not restrict.
type Query struct {
	Action Action
	// Subjects and Actors are alternatives, each among its own.
	Subjects []string
	Actors   []Actor
	Since    time.Time
	// Limit is how many of the newest events there are to be at most.
	Limit int
}

// Store reads the log. Writing happens inside the changes themselves.
type Store interface {
	// AuditEvents returns the matching events, oldest first, and whether there are
	// older ones, which the limit left out. It holds a bounded number of them however
	// many there are.
	AuditEvents(ctx context.Context, q Query) (events iter.Seq2[Named, error], older bool, err error)
}
