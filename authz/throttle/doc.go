// Package throttle limits attempts to sign in: how many wrong guesses are allowed, and
// how many attempts are checked at once, since each check keeps a CPU busy.
//
//	attempt → Throttle.Join: a place in the line, or ErrCrowded if it is full
//	        → Throttle.Attempt: gates → turn → counted in SQL, or *TooManyError → checked → count undone unless wrong
//
// The line holds all attempts that wait or are checked. A gate lets only a few attempts
// through at once that have the same count. Who has a turn is checked. These three belong
// to one process; the counts are in the database, for all instances together.
//
// The package does not know what is guessed (a password, say), nor how it is checked.
package throttle
