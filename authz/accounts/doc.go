// Package accounts owns the users: what they are called, their addresses, their
// claims, and which scope tells a client what of these.
//
//	user create|update|disable|… → Users → Store: user + change + audit event, one commit
//	sign-in → Users.BySignInName → one statement: by user name, or by address
//
// The package does not know how a user proves who they are (package signin), nor
// what is issued to a client (package grants).
package accounts
