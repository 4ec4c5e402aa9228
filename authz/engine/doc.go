// Package engine is the door to fosite, the library that runs the token endpoint:
// nothing else of this server speaks fosite's types.
//
//	client that has authenticated, parameters → grants.Types.Of: may it? → fosite's handlers → the grant type → what was issued
//
// fosite handles a request in two phases, judging and answering, of which each may
// leave notes for the next in a session. That stays in here: a grant type is one
// function, which fosite calls by an adapter when it answers. fosite's own handler
// of client credentials calls it where it asks for an access token.
//
// What fosite does with HTTP (reading requests, client authentication, revocation,
// introspection, writing errors) is not used: it takes duplicate parameters and
// failing storage too lightly. This package owns no rule of a grant; these stand in
// package grants.
package engine
