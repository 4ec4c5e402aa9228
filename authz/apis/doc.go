// Package apis says what an API is: the audience by which tokens name it, the scopes
// that it offers and how long an access token for it lives; and which scopes the server
// itself understands.
//
// It knows values and rules, and no API that is registered: that is package catalog. Nor
// does it know which client may ask for which API: that is package clients.
package apis
