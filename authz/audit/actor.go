package audit

import "strings"

// Actor is who made a change: an operator, a client, a user, or the server itself. It is
// made by Operator, Client or User, or is Server.
type Actor string

// Server is the actor of a change that the server makes by itself.
const Server Actor = "server"

// The prefixes of actors, one for each kind.
const (
	operator = "cli:"
	client   = "client:"
	user     = "user:"
)

// Operator is a person who runs a command. name is their name on that machine.
func Operator(name string) Actor { return Actor(operator + name) }

// Client is a client that has authenticated.
func Client(id string) Actor { return Actor(client + id) }

// User is a person who is signed in.
func User(id string) Actor { return Actor(user + id) }

// Client returns the id of the client that acts, if it is one.
func (a Actor) Client() (id string, is bool) { return strings.CutPrefix(string(a), client) }

// User returns the id of the user who acts, if it is one.
func (a Actor) User() (id string, is bool) { return strings.CutPrefix(string(a), user) }
