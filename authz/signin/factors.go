package signin

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/throttle"
)

// evidence is what a person presents to prove who they are: one factor, such as a
// typed password. Each kind has its own file in this package.
type evidence interface {
	// proves reports whether the evidence is right for a user. A user without an id
	// does not exist: then the answer is no, and must take as long. Otherwise the time
	// would tell strangers who has an account.
	proves(ctx context.Context, u accounts.User) (bool, error)
	// method is the factor's name in `amr` (RFC 8176).
	method() string
}

// proof says how a user has proved who they are.
type proof struct {
	// methods are the methods of the evidence (`amr`, RFC 8176); contextClass is how
	// strong they are together (`acr`).
	methods      []string
	contextClass string
}

// check checks the evidence for a user, who may not exist (then u has no id). It counts
// the attempt for the account, and undoes that if the evidence is right. It also returns
// the part of the visitor's Device with which the user has signed in before; may be empty.
func (s *SignIn) check(ctx context.Context, u accounts.User, account string, e evidence, from Visitor) (p proof, device string, err error) {
	// Looked up for unknown users, too, so that they take the same time.
	if device, err = s.deviceOf(ctx, u.ID, from.Device); err != nil {
		return proof{}, "", err
	}
	proved := false
	right, err := s.throttle.Attempt(ctx, account, device, from.origin(), func(ctx context.Context) (_ bool, err error) {
		proved, err = e.proves(ctx, u)
		return proved && !u.Disabled, err
	})
	if tooMany := new(throttle.TooManyError); errors.As(err, &tooMany) {
		tooMany.UserID = u.ID
	}
	if err != nil {
		return proof{}, "", err
	}
	if !right {
		return proof{}, "", wrong(u, proved)
	}
	return proof{[]string{e.method()}, sessions.OneFactor}, device, nil
}
