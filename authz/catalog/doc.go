// Package catalog owns the APIs that are registered: they are created, updated and
// deleted here, and looked up from a copy in memory.
//
//	api create|update|delete → Catalog → Store: api + change + audit event, one commit
//	token request → Catalog.ByAudience → memory, reloaded when an API changes
//
// What an API is, and what its fields may hold, is in package apis.
package catalog
