package storage

import "github.com/ingam/ingam/authz/signin"

// This check is here and not beside the others in open.go, because the store needs nothing
// else of package signin.
var _ signin.Store = (*Store)(nil)
