// Package status owns status lists (draft-ietf-oauth-status-list-20): how
// verifiers that ask nobody learn what was cut.
//
// Every access token refers to one bit of one list. A bit is never stored: it
// follows from the grants, the blocks, the epochs and the cut tokens in SQL, and
// is only ever set, so a process that lost everything builds the same lists
// again, and nothing is written for a token.
//
//	a grant               holds an index; when its list closes, the next refresh takes another
//	                      and the grant remembers the former one, for the tokens that still name it
//	client_credentials    Indices takes blocks of them per client; a block records the client's epoch
//	a cut                 → change sequence → Lists.Follow: which bits follow from it? → set
//	                      → Stream: these were just set → listeners → they acknowledge
//	GET /oauth2/status/N  → Lists.Token: signed at most once a second, and when a bit was set
//
// A list lives in three parts: open, and given out; full or closing, which its
// tokens outlive by at most the life that the list states; gone. The grants' lists
// close no faster than tokens die, so that one former index is enough.
//
// After a cut of everything the lists of before are set from end to end, and what
// is issued then goes into new ones.
//
// A race is settled by asking again after the commit: whoever stores a new index
// and then finds that its owner still stands has stored it before any cut that
// could matter, so the lists that are made for that cut hold it.
//
// The package owns indices, bits and the stream; it does not own what a cut is.
package status
