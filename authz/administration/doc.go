// Package administration decides who may administer the server, and what: the scopes of
// the admin API, who calls it, and what no caller may do to reach further than they may.
//
// It does not own what is administered. A client, an API or a user is changed by the
// methods of its own concern; this package says, within the same transaction, whether
// this caller may make that change.
//
//	admin API, command line → administration: may they? → clients, catalog, accounts, … → storage
package administration
