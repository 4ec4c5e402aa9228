// Package passwords owns what may be a password, and hashes: argon2id, a few at a
// time.
//
//	new password → Hasher.Hash: bounds, first guesses, argon2id
//	typed password → Hasher.Match: one argon2id, for unknown users too
//
// The package does not know how often somebody may try: that is package throttle.
package passwords
