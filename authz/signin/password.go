package signin

import (
	"context"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/passwords"
)

// typed is the evidence of a password that somebody typed.
type typed struct {
	hasher   *passwords.Hasher
	password string
}

func (t typed) proves(ctx context.Context, u accounts.User) (bool, error) {
	return t.hasher.Match(ctx, u.Password, t.password)
}

func (typed) method() string { return "pwd" }
