// Package authorization owns authorization requests, by which a client asks for access
// to a user's data: it checks a request, finds out where to answer it, and says what is
// missing until the client gets a code.
//
//	request → Parse → who asks, where to answer, what is asked for
//	        → Next  → StepLogin: the person signs in    → SignedInFor → Parse again
//	                → StepConsent: the person allows it → Allow       → Next again
//	                → StepDone → IssueCode → a code's row
//
// The server keeps no state between these steps. Each page carries the request as the
// client sent it, with a sealed note of the sign-in that was made for it, and the request
// is checked again each time. First-party apps that ask for codes without a browser come
// through Challenge.
//
// The package does not decide what a client may have (package grants), how users prove
// who they are (package signin), or what pages look like (package web).
package authorization
