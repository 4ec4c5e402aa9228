// Package protocol is the language of refusals: what a client is told when it
// gets no token.
//
// Inside, a failure is either an *Error, which is safe to show because someone
// wrote it to be shown, or anything else, of which a client learns nothing.
// From is the one table between them. Package web writes its result, and says with
// which HTTP status.
//
//	any error → From → code, description → web
package protocol
