// Package grants decides what a client gets when it asks for tokens, and issues them:
// one grant type, one file.
//
//	client that has authenticated, parameters → Types.Of: grant type → client may use it
//	                            → Type.Grant: Rules.Registered or Rules.Left → Rules.Decide → what this token is for
//	                                        → tokens.Issuer signs → Store commits once
//
// Types.Of holds what no grant type may forget, in the order in which it is decided.
// Package engine calls it for the token endpoint, and package authz for those who
// sign people in by themselves.
//
// A Grant is what one user allowed one client in one sign-in, and the family of
// its refresh tokens: one row. See authorizationCode and refreshToken for how
// theirs are judged.
//
// A new grant type is a file with a Type, a line in New and a name in Supported, and in
// package clients, which clients are registered with.
package grants
