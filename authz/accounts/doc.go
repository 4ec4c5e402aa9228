// Package accounts owns people: who they are, how they prove it, in which
// browsers they are signed in, and what they allowed which client.
//
//	user create|update|disable|… → Directory → Store: user + change + audit event, one commit
//	POST /login → SignIn.Do → guess counted → one argon2id → taken back if right → Store: login session + event, one commit
//	cookie → Sessions.Find → one statement: session, user and epochs at one moment
//	consent → Consents → Store
//
// A login session stands while it is within its idle and absolute life, was not
// ended, and neither its user nor everything was cut since: it records the
// epochs that it began under (see package revocation).
//
// The package does not know what is issued to a client; that is package grants.
package accounts
