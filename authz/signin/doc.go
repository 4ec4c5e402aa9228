// Package signin signs people in. It has three parts, each of which can change without
// the others:
//
//   - throttling: package throttle bounds how many guesses are checked; refusals.go
//     writes refused sign-ins to the audit log
//   - factors: what a person presents to prove who they are (factors.go); today only a
//     password (password.go)
//   - beginning a login session for a user who has proved who they are (begin.go)
//
// The flow:
//
//	POST /login → SignIn.Do → attempt counted → password checked (argon2id) → count undone if right
//	            → Store: login session + event, one commit
//
// The package does not know how long a session lasts and what ends it (package sessions),
// nor which tokens a client gets (package grants).
package signin
