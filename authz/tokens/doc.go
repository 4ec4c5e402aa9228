// Package tokens owns the formats of access tokens, ID tokens and refresh tokens: it
// writes their claims and reads them.
//
//	grant → Issuer.MintAccess → keys.Sign → the token; nothing is stored
//	token → Issuer.ReadAccess → keys.Verify → claims, unexpired
//
// For an API with an encryption key the token is signed and then encrypted. This server
// cannot read it then, so it seals in the header what it has to know of it:
//
//	grant → Issuer.MintAccess → keys.Sign → keys.Seal → EncryptionKey.Encrypt → the token
//	token → Issuer.ReadSealed → keys.Unseal → what was sealed, unexpired
//
// It does not know whether a token was revoked: package revocation asks the database for
// that, and to read a token needs none. Nor does it decide what a token allows: package
// grants does.
package tokens
