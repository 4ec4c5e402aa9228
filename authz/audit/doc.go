// Package audit defines the events of the audit log: who did what to which record, when
// and why.
//
// Package storage writes an event in the same transaction as the change itself. So there
// is no change without its event, and no event of a change that was rolled back. Package
// audit owns the names of actions and actors. It does not decide who may do what. An
// event never holds a secret, a token, a code or a password.
//
//	command line, endpoint, server task → concern (apis, clients, …) → storage: change + event, one commit
package audit
