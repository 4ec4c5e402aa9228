// Package web is the server's HTTP and nothing more: it limits and parses what
// comes in, asks package authz, and writes what comes out.
//
//	route (below the issuer's path)                     handler        who calls
//	GET  /                                              homePage           whoever opens the address
//	GET, POST /oauth2/authorize                         authorizePage      browsers, sent by apps
//	GET, POST /login                                    loginPage          people
//	POST /consent                                       consentPage        people
//	GET, POST /logout                                   logoutPage         people
//	GET  /account, GET, POST /account/…                 account…           people
//	POST /login with JSON                               appLogin           first-party apps
//	POST /token/refresh, POST /token/logout             appRefresh, appLogout first-party apps
//	POST /oauth2/authorize-challenge                    challenge          first-party apps
//	POST /oauth2/token                                  oauth.token        apps
//	GET, POST /userinfo                                 oauth.userInfo     apps
//	POST /oauth2/introspect                             oauth.introspect   resource servers
//	POST /oauth2/revoke                                 oauth.revoke       apps
//	GET  /.well-known/jwks.json                         jwks               resource servers
//	GET  /.well-known/openid-configuration[/path]       document           everyone
//	GET  /.well-known/oauth-authorization-server[/path] document           everyone
//	GET  /oauth2/status, /oauth2/status/{list}          statuses           resource servers
//	GET  /oauth2/status/events, POST …/events/ack       statuses           resource servers that listen
//	GET  /language                                      languagePage       people
//	GET  /assets/{name}, /favicon.ico                   assets             browsers
//	GET  /health/live                                   live               whoever restarts the process
//	GET  /health/ready                                  ready              whoever sends it traffic
//	everything else                                     nothing            people and programs that went astray
//
// Where the issuer has a path, a document's [/path] follows its address at the root of the
// host, and the probes below /health answer at the root as well.
//
// Parameters are read by one function, wherever they come in: each once, those
// without a value left out, what does not parse refused as a whole.
//
// A handler returns an error; endpoint, the one adapter, turns it into what
// the client may know (protocol.From) and into the request's record, which is
// logged once, when the request is over. Records never hold a query, a body,
// or a header that could carry a credential. Handlers of pages have an adapter of
// their own, faults.page, which shows it to the person or sends it to the client.
package web
