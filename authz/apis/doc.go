// Package apis owns the resource servers that tokens are made for: their
// audiences, the scopes they offer and how long an access token for them
// lives.
//
//	api create|update|delete → Catalog → Store: api + change + audit event, one commit
//	token request → Catalog.ByAudience → memory, reloaded when an API changes
//
// It does not know which client may ask for which API; that is package
// clients.
package apis
