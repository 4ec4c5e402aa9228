// Package sessions owns login sessions: a session says that a user is signed in in one
// browser or app.
//
//	cookie → Sessions.Find → one statement: session, user and epochs at one moment
//	sign-out, account page, command → Sessions.End → Store: session ended + change + event, one commit
//
// A login session stands (is valid) while it is within its idle and absolute life, was
// not ended, and neither its user nor everything was revoked since it began: it records
// the epochs that it began under (see package revocation).
//
// The package does not know how a user proves who they are, nor when a session
// begins: that is package signin.
package sessions
