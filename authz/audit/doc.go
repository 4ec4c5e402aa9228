// Package audit names who did what to which record, when and why.
//
// An event is written by storage in the transaction of the change that it
// tells of: there is no change without its event, and no event of a change
// that was rolled back. The package owns the vocabulary; it does not decide
// what may be done, and it never holds a secret, a token, a code or a
// password.
//
//	command line, endpoint, server task → concern (apis, clients, …) → storage: change + event, one commit
package audit
