// Package authz composes the authorization server of the concerns in the packages
// below it.
//
//	endpoint             what happens                                          state
//	GET  /oauth2/authorize   ParseAuthorize → Next → sign-in, consent, IssueCode   a code's row
//	POST /oauth2/token       package engine → fosite → grants                  none written by client_credentials, one row a grant
//	GET  /userinfo           Authority.UserInfo → tokens → revocation → accounts   two statements read
//	GET  /logout             ParseLogout                                       the login session's row
//	POST /oauth2/introspect  Authority.Introspect → tokens → revocation        one statement reads
//	POST /oauth2/revoke      Authority.Revoke → tokens → revocation            one transaction writes
//	metadata                 NewMetadata                                        made once
//
// Nothing below imports this package. It decides nothing by itself but who may
// introspect and revoke what, and what an authorization request may ask for.
package authz
