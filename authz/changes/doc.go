// Package changes tells each instance of the server what another one, or the command
// line, has changed, so that it can drop or reload its copies in memory.
//
// Each change of an API, a client or a key, and each revocation, takes the next number of
// one sequence, inside its own transaction. The row with the last number stays locked
// until commit, so numbers become visible in order: a process that has read up to n has
// missed nothing before n. (With auto-increment ids this is not so: a transaction that
// commits late appears behind a higher id that was read already.) Each number is one more
// than the last. Only revoking everything skips numbers, beyond any that could have been
// given out before the database was restored from a backup.
//
// A number alone does not identify a change. If a standby database takes over without
// the last changes, it gives their numbers out again. So each change has a random mark as
// well. A process that finds another mark at the last number that it has read drops all
// its copies.
//
//	change → UPDATE change_seq, INSERT changes → commit
//	Watcher, each interval → changes after n → followers drop or reload their copies → n advances
//
// A Watcher whose last successful poll is too long ago is not Fresh. Then nobody may use
// a copy in memory, but must ask the database. So the bound always holds: after it a
// disabled client or a withdrawn key is refused by every instance, even by one that has
// lost its database.
//
// The package owns the numbers and the freshness. It does not own the copies: each
// follower keeps its own.
package changes
