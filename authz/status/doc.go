// Package status owns what everybody must know of status lists
// (draft-ietf-oauth-status-list-20): what a list is, what a place in it is, and
// under which address it is found.
//
// A status list tells verifiers that ask nobody what was cut. It is a row of bits.
// Every access token refers to one bit of one list, and once that is set, the token
// no longer stands. A bit is never stored: it follows from the grants, the blocks,
// the epochs and the cut tokens in SQL, and is only ever set, so a process that lost
// everything builds the same lists again, and nothing is written for a token.
//
//	lists       which lists there are, and which bits are set: built from the database, signed, served
//	indices     which place the next token gets
//	listeners   the stream of what was just set: who listens to it, and who has acknowledged what
//
//	a grant               holds an index; when its list closes, the next refresh takes another
//	                      and the grant remembers the former one, for the tokens that still name it
//	client_credentials    indices.Taker takes blocks of them per client; a block records the client's epoch
//	a cut                 → change sequence → lists.Follow: which bits follow from it? → set
//	                      → listeners.Stream: these were just set → listeners → they acknowledge
//	GET /oauth2/status/N  → lists.Token: signed at most once a second, and when a bit was set
//
// A list lives in three parts: open, and given out; full or closing, which its
// tokens outlive by at most the life that the list states; gone. The grants' lists
// close no faster than tokens die, so that one former index is enough.
//
// After a cut of everything the lists of before are set from end to end, and what
// is issued then goes into new ones.
//
// A cut and an issue can happen at the same moment, each not seeing the other.
// Whoever stores a new index therefore asks once more after the commit: if its owner
// still stands, the index was stored before any cut that could matter, and the lists
// that are made for that cut hold it.
//
// Neither this package nor the three below it own what a cut is.
package status
