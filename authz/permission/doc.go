// Package permission is what a user can allow a client: a scope at an API. It owns how
// permissions are written and read, and what a grant records of them. It does not decide
// which of them a client gets: package grants does.
package permission
