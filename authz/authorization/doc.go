// Package authorization owns authorization requests: what a client asks for in
// somebody's name, where it is answered, and what is still missing until it gets a
// code.
//
//	request → Parse → who asks, where to answer, what is asked for
//	        → Next  → the person signs in, or allows it, or
//	        → IssueCode → a code's row
//
// Pages hold no state between these steps: the request travels as it came, with a
// sealed note of the sign-in that was made for it, and is judged anew each time.
//
// It does not decide what a client may have (package grants), who somebody is (package
// signin), or what pages look like. First-party apps that ask for codes without a
// browser come through Challenge.
package authorization
