// Package catalog owns the registered APIs: it creates, updates and deletes them, and
// looks them up in a copy in memory.
//
//	api create|update|delete → Catalog → Store: api + change + audit event, one commit
//	token request → Catalog.ByAudience → copy in memory, reloaded when an API changes
//	                                   → not there, or not fresh → database
//
// It does not define what an API is and what its fields may hold: package apis does. Nor
// does it decide which client may use an API: that is for packages clients and grants.
package catalog
