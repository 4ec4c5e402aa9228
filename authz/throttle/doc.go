// Package throttle owns how many guesses at a secret are heard, and how many people
// are served at once while each guess takes a CPU.
//
//	attempt → Throttle.Join: a place in the line, in memory
//	        → Throttle.Attempt: gates (few at once of what is counted together) → turn → counted in SQL → looked at → taken back unless wrong
//
// The counts are in the database, for all instances together. The line, the gates
// and the turns are those of one process.
//
// The package does not know what is guessed, nor whose it is.
package throttle
