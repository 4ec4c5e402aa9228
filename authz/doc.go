// Package authz holds the endpoints of the authorization server without their HTTP: one
// small type for each, which takes and returns plain values and is made with only what
// it uses. (Package web reads the requests and writes the answers.)
//
//	endpoint                  who answers                                      state
//	GET  /oauth2/authorize    package authorization                            a code's row
//	POST /oauth2/token        package engine → fosite → grants                 none written by client_credentials, one row a grant
//	GET  /userinfo            UserInfo → tokens → revocation → accounts        two statements read
//	GET  /logout              EndSession                                       none; web ends the login session
//	POST /oauth2/introspect   Introspector → tokens → revocation               one statement reads
//	POST /oauth2/revoke       Revoker → tokens → revocation                    one transaction writes
//	GET  /oauth2/status/…     StatusEvents → who may listen                    a listener's row
//	POST /login, /token/…     FirstParty → grants                              one row a grant
//	GET  /account             Connected → consents, grants                     two statements read
//	metadata                  NewMetadata                                      made once
//
// This package decides who may introspect and revoke which token, and who may listen to
// revocations. It does not decide what a client may have: package grants does. No
// package below this one imports it.
package authz
