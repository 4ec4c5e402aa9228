// Package chain makes the audit log prove itself: its events are numbered, each carries a
// digest over all that came before it, and the last digest is signed, about once a second.
// Whoever changes an event afterwards, removes one or puts one in between is found out.
//
//	event, committed with its change → unchained → Chain.Run, once a second, one instance:
//	    number, digest = SHA-256(former digest, number, event) … and a signed Head, one commit
//	Check: events and heads, in order → what is wrong, and where
//	Chain.Purge: below a signed anchor, where Check begins from then on
//
// An event waits for its number in its own row, so that events of older versions beside
// this one are chained too, and no request writes more than before. Who chains is whoever
// holds a lease; its fence is asked in the transaction that chains, so that an instance that
// has slept, or whose clock has jumped, does nothing.
//
// What it does not find: a change of an event before it is chained; and what somebody does
// who can sign, because they have the master key. Events that are cut off at the end, with
// their heads, are missed only by whoever has kept a later Head elsewhere.
//
// The package decides nothing about what is in an event.
package chain
