// Package grants is the ways to get a token: one grant type, one file.
//
// fosite walks the handlers of its token endpoint in order. First stands
// checks, which holds what no grant may forget, in the order in which it is
// decided; then the grants.
//
//	POST /oauth2/token → fosite → authenticate the client (package clients)
//	                            → checks: grant type → client may use it
//	                            → the grant: Rules.Registered or Rules.Left → Rules.Decide → what this token is for
//	                            → tokens.Issuer signs → Store commits once
//
// A Grant is what one user allowed one client in one sign-in, and the family of
// its refresh tokens: one row. See authorizationCode and refreshToken for how
// theirs are judged.
//
// A new grant type is a file with a fosite.TokenEndpointHandler and a line in
// Handlers.
package grants
