// Package protocol defines the errors that a client is told when the server refuses a
// request: the OAuth error codes, with their descriptions.
//
// Inside the server, a failure is either an *Error, whose text was written to be shown,
// or any other error, of which a client learns nothing. From turns both into an *Error;
// there is no second place that does. The package does not know HTTP: package web writes
// the *Error and chooses its status.
//
//	any error → From → code, description → web
package protocol
