// Package revocation owns cuts: decisions that take back what was issued.
//
// A cut is a comparison of numbers, not of clocks. Whatever is issued carries
// the number of the change sequence it was issued under (its epoch); a cut of
// a client, or of everything, raises one row to the number of the cut. What was
// issued under a lower number no longer stands, however many tokens that is,
// and what is issued a moment later does. A single token is cut by its `jti`.
//
//	revoke (command line, RFC 7009), a code or refresh token used again
//	                → Cuts → Store: cut + change + audit event, one commit
//	introspection → Store.Standing, one statement → Cuts.Stands
package revocation
