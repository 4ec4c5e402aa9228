// Package revocation owns revocations, which the code calls cuts: it ends tokens, grants
// and sessions before they expire, and says whether a token was revoked.
//
// Revocation compares numbers, not clocks. Whatever is issued carries the number of the
// last change at that moment (its epoch, see package changes). To revoke all that was
// issued to a client, or at all, one row is raised to the number of the revocation. What
// was issued under a lower number no longer stands, however many tokens that is; what is
// issued a moment later stands. A single token is revoked by its `jti`.
//
//	revoke (command line, RFC 7009), a code or refresh token used again
//	                → Cuts → Store: cut + change + audit event, one commit
//	introspection, userinfo → Cuts.Stands → Store.Standing, one statement
//	issuing a token         → Epoch.Current → copy in memory, reloaded when everything was revoked
//
// It does not read tokens (package tokens does), and it does not tell verifiers of
// revocations: package status does.
package revocation
