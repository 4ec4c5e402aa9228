// Package listeners owns the status stream, by which verifiers learn at once which bits
// of the status lists were set. It also knows who listens, and what they have
// acknowledged. A listener is a verifier that is connected to the stream.
//
//	revocation → lists → Stream.Publish → each connection: Stream.After → the verifier
//	           → it acknowledges → its row in the database → Await, for `ingam revoke --wait`
//	Connections  the connections of this process, whose number is bounded
//
// It does not own the bits (package lists), nor the format of an event (package web).
package listeners
