// Package accounts owns the users: their names, e-mail addresses, roles and claims, and
// which of these a client may see with which scope.
//
//	user create|update|disable|… → Users → Store: user + change + audit event, one commit
//	sign-in → Users.BySignInName → one statement: by user name, or by address
//
// It does not know how a user proves who they are (package signin), nor which tokens a
// client gets (package grants).
package accounts
