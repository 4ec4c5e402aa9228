package audit

import (
	"context"
	"time"
)

// Actor names who acts: "cli:NAME" for an operator at the command line,
// "client:ID" for an authenticated client, "user:ID" for a person signed in,
// "server" for the server's own
// tasks.
type Actor string

// Server is the actor of what the server does by itself.
const Server Actor = "server"

// Action names a kind of change, as "subject.verb".
type Action string

// The actions there are. A key's actions have the same names in package keys,
// which imports nothing of ours.
const (
	APICreated          Action = "api.create"
	APIDeleted          Action = "api.delete"
	ClientCreated       Action = "client.create"
	ClientDisabled      Action = "client.disable"
	ClientEnabled       Action = "client.enable"
	ClientDeleted       Action = "client.delete"
	ClientSecretAdded   Action = "client.secret.add"
	ClientSecretRemoved Action = "client.secret.remove"
	UserCreated         Action = "user.create"
	UserDisabled        Action = "user.disable"
	UserEnabled         Action = "user.enable"
	UserDeleted         Action = "user.delete"
	UserPasswordSet     Action = "user.password"
	SessionBegun        Action = "session.begin"
	SessionEnded        Action = "session.end"
	ConsentGiven        Action = "consent.give"
	ConsentTaken        Action = "consent.take_back"
	TokenCut            Action = "cut.token"
	GrantCut            Action = "cut.grant"
	UserCut             Action = "cut.user"
	ClientCut           Action = "cut.client"
	EverythingCut       Action = "cut.everything"
	// GrantReused and CodeReused: what may be used once was used again, and the
	// grant was revoked for it.
	GrantReused Action = "grant.reuse"
	CodeReused  Action = "code.reuse"

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
	// jti. Empty for a change to the whole server.
	Subject string
	// Reason is what the actor gave as the reason; may be empty.
	Reason string
	// Details are further facts, such as the fields a client was created
	// with. Never a secret.
	Details map[string]string
}

// Query selects events. Zero fields do not restrict.
type Query struct {
	Action  Action
	Subject string
	Since   time.Time
	// Limit is how many of the newest events to return; zero means 1000.
	Limit int
}

// Store reads the log. Writing happens inside the changes themselves.
type Store interface {
	// AuditEvents returns the matching events, oldest first.
	AuditEvents(ctx context.Context, q Query) ([]Event, error)
}
