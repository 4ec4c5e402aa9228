// Package clients owns the applications that ask for tokens: what they are
// registered for, how they prove who they are, and the copy of each that a
// server process keeps in memory.
//
//	client create|update|disable|… → Registry → Store: client + change + audit event, one commit
//	request → Authenticator → Registry.Client → memory while fresh, else Store
//
// A copy in memory is dropped when the change sequence names the client, and
// is not used at all while the sequence cannot be read: see package changes.
//
// The package does not decide what a client's token contains (package tokens)
// nor whether one still stands (package revocation).
package clients
