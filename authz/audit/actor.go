package audit

import "strings"

// Actor names who acts. It is made by Operator, Client or User, or is Server.
type Actor string

// Server is the actor of what the server does by itself.
const Server Actor = "server"

// What an actor's name begins with says of which kind it is.
const (
	operator = "cli:"
	client   = "client:"
	user     = "user:"
)

// Operator is whoever runs a command, by the name that the machine knows them by.
func Operator(name string) Actor { return Actor(operator + name) }

// Client is a client that has authenticated.
func Client(id string) Actor { return Actor(client + id) }

// User is a person who is signed in.
func User(id string) Actor { return Actor(user + id) }

// Client returns the id of the client that acts, if it is one.
func (a Actor) Client() (id string, is bool) { return strings.CutPrefix(string(a), client) }

// User returns the id of the user who acts, if it is one.
func (a Actor) User() (id string, is bool) { return strings.CutPrefix(string(a), user) }
