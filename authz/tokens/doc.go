// Package tokens owns what is written in a token and what is read from one.
//
//	grant → Issuer.MintAccess → keys.Sign → the token; nothing is stored
//	token → Issuer.ReadAccess → keys.Verify → claims, unexpired
//
// Whether a token that reads well still stands is asked of package revocation:
// that takes a database, and reading does not.
package tokens
