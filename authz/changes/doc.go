// Package changes tells every server process what another one, or the command
// line, has changed.
//
// Each change of a client, an API, a key or a cut takes the next number of one
// sequence inside its own transaction. The row that holds the sequence stays
// locked until commit, so numbers become visible in order:
// having read up to n, a process has missed nothing before n. (They come one by
// one, but for a cut of everything, which leaps beyond any number that could
// have been lost to a restored database.) (Auto-increment
// ids lack this: a transaction that commits late hides behind a higher id.)
//
// A number says how many changes there were, and not which: a standby that had not
// got the last ones gives their numbers out again once it leads. So each change has a
// random mark as well, and a process that finds another mark at the last number that
// it followed drops every copy.
//
//	change → UPDATE change_seq, INSERT changes → commit
//	Watcher, every interval → changes after n → followers drop or reload what they hold → n advances
//
// A Watcher that has not succeeded within its bound is not Fresh, and whoever
// holds a copy of a record must then ask the database instead. That makes the
// bound a promise and not a habit: a disabled client or a withdrawn key is dead
// everywhere within it, even on an instance that lost its database.
//
// The package owns the numbers and the freshness; it does not own what is
// cached.
package changes
