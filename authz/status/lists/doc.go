// Package lists keeps the status lists in memory: which lists there are, and which of
// their bits are set. It signs them for verifiers.
//
//	start, failover   Follow(nil): all bits are read from the database
//	a revocation      Follow(changes): the bits that follow from it are read, set, and put on the stream
//	a verifier        Token: the list, signed
//	issuing a token   Usable: may a new token name this list?
//
// It does not own which index a token gets (package indices), nor who listens (package
// listeners), nor what is revoked (package revocation).
package lists
