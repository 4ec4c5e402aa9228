// Package authz is what the authorization server answers, in values: one small type for
// each endpoint, made with what it uses and no more. It knows no HTTP.
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
// Nothing below imports this package. It decides who may introspect, revoke and listen
// to what; what a client may have is decided in package grants.
package authz
