// Package grants is the ways to get a token: one grant type, one file.
//
// fosite walks the handlers of its token endpoint in order. First stands
// checks, which holds what no grant may forget, in the order in which it is
// decided; then the grants.
//
//	POST /oauth2/token → fosite → authenticate the client (package clients)
//	                            → checks: grant type → client may use it → resource, audience → scope
//	                            → the grant
//	                            → accessStrategy: claims → tokens.Issuer
//
// A new grant is a file with a fosite.TokenEndpointHandler and a line in
// Handlers.
package grants
