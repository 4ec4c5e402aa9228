// Package passwords owns the rules for a new password, and the hashes of passwords:
// argon2id, of which only a few are computed at the same time.
//
//	new password → Hasher.Hash: bounds, first guesses, argon2id
//	typed password → Hasher.Match: one argon2id, for unknown users too
//
// The package does not know how often somebody may try: that is package throttle.
package passwords
