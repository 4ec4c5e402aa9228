// Package engine calls fosite, the library that runs the token endpoint. No other package
// of this server uses fosite or its types.
//
//	client that has authenticated, parameters → grants.Types.Of: may it? → fosite's handlers → the grant type → what was issued
//
// fosite handles a token request in two phases, deciding and issuing, and passes what the
// first has found to the second in a session. No other package has to know of that: a
// grant type is one function. An adapter calls it in the second phase; for client
// credentials, fosite's own handler calls it when it wants an access token.
//
// The parts of fosite that use net/http (reading requests, client authentication,
// revocation, introspection, writing errors) are not used, because they accept duplicate
// parameters and can take a storage fault for a refusal. The rules of grants are in
// package grants.
package engine
