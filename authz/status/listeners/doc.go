// Package listeners owns how verifiers learn at once what was set in the status
// lists: the stream, who listens to it, and what they have acknowledged.
//
//	a cut    → lists → Stream.Publish → each connection reads on with Stream.After → the verifier
//	         → it acknowledges → its row in the database → Await, for `ingam revoke --wait`
//	Here     the connections of this process, of which there are only so many
//
// It does not own bits, nor how an event looks on the wire.
package listeners
