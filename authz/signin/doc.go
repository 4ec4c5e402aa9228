// Package signin owns how a person comes to be signed in. That is three things, each
// of which can change without the others:
//
//   - throttling: how many guesses are heard, which is package throttle; and what the
//     audit log has of those who were refused (refusals.go)
//   - factors: what a person presents to prove who they are (factors.go); today a
//     password (password.go)
//   - beginning a login session from the user and what was proved (begin.go)
//
// POST /login → SignIn.Do → guess counted → one argon2id → taken back if right → Store: login session + event, one commit
//
// The package does not know what a session is good for: that is package sessions. Nor
// what is issued to a client: that is package grants.
package signin
