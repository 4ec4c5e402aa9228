// Package status defines status lists (draft-ietf-oauth-status-list-20): what a list is,
// what a place in it is, and which address it has.
//
// A status list tells verifiers, which check tokens by themselves, which tokens were
// revoked. It is an array of bits. Every access token names one bit of one list; once
// that bit is set, the token is revoked. Bits are not stored. They follow from the grants,
// the blocks, the epochs and the revoked tokens in SQL. So nothing is written when a token
// is issued, and a process that starts anew builds the same lists.
//
//	lists       which lists there are, and which bits are set: built from the database, signed, served
//	indices     which place the next token gets
//	listeners   the stream of what was just set: who listens to it, and who has acknowledged what
//
//	a grant               holds an index; when its list closes, the next refresh takes another
//	                      and the grant remembers the former one, for the tokens that still name it
//	client_credentials    indices.Taker takes blocks of them per client; a block records the client's epoch
//	a revocation          → change sequence → lists.Follow: which bits follow from it? → set
//	                      → listeners.Stream: these were just set → listeners → they acknowledge
//	GET /oauth2/status/N  → lists.Token: signed at most once a second, and when a bit was set
//
// A list is first open: new tokens get places in it. Then it is closed, while the tokens
// that name it are still valid, which is at most the life that the list states. Then it
// is gone. The lists of grants close no faster than tokens expire, so a grant need not
// remember more than one former index.
//
// After everything was revoked, all bits of the lists of before are set, and new tokens
// get places in new lists.
//
// A token can be issued, and its owner revoked, at the same moment, so that neither
// transaction sees the other. So whoever stores a new index asks once more after the
// commit whether the owner (a grant or a client) stands. If it does, the index was stored
// before any later revocation, so the list that is built for that one has its bit set.
//
// Neither this package nor the three below it decide what is revoked: package revocation
// does.
package status
