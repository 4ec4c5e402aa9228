// Package lists owns the status lists as this process knows them: which ones there
// are, which of their bits are set, and the signed form in which verifiers fetch them.
//
//	start, failover   Follow(nil): all bits are read from the database
//	a cut             Follow(changes): what these changes set is read, set, and put on the stream
//	a verifier        Token: the list, signed
//	whoever issues    Usable: may tokens still be issued for this list?
//
// It does not own which index a token gets (package indices), nor who listens
// (package listeners), nor what a cut is.
package lists
