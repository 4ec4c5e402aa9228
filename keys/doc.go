// Package keys owns the signing keys: when each signs and is published, how
// its private half is kept, and what it signed.
//
//	Maintain, Rotate, Withdraw → decide on records → Store.ChangeKeys, one commit
//	Reload                     → records → snapshot: schedule, public keys, JWKS
//	Sign, Verify, JWKS         → snapshot alone; no database, no lock
//
// A record holds times, and its state follows from them and the clock:
//
//	published ──SignsFrom──▶ active ──next key's SignsFrom──▶ retired ──▶ gone
//	     └────────────────────── withdrawn ◀──────────────────────┘
//
// A key that is gone is out of the key set, and its private half is destroyed; its
// public half is kept for as long as an ID token may come back as a hint.
//
// So nothing has to be done at the moment of a rotation. The clock passes SignsFrom,
// and every process, which knows the same times, signs with the next key. Only the key
// after that is written then, long before it is needed. Its row is unique on (ring,
// ordinal): if two processes insert it at once, one of them succeeds, and no lease is
// needed.
//
// The package does not know what is in a token; package tokens does. It
// imports nothing of ours.
package keys
