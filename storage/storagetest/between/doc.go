// Package between is what stands between a server and its database in tests: a relay
// that cuts or silences connections, and PgBouncer. It does not know the database: a URL
// goes in, and the URL that leads through comes out.
package between
