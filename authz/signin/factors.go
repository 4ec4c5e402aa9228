package signin

import (
	"context"
	"errors"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/throttle"
)

// evidence is what a person presents to prove who they are: one factor, such as a
// typed password. Each kind is one file of this package.
type evidence interface {
	// proves reports whether it is that of a user. Without an id that is nobody, for
	// whom it takes as long: else the time would tell strangers who has an account.
	proves(ctx context.Context, u accounts.User) (bool, error)
	// method is what the factor is called in `amr` (RFC 8176).
	method() string
}

// proof is what was proved about who a user is, and how.
type proof struct {
	// methods are those of the evidence (`amr`, RFC 8176), and contextClass is how well
	// they prove it together (`acr`).
	methods      []string
	contextClass string
}

// check looks at what is presented for a user, who may be nobody, and leaves no count
// of evidence that is right. Attempts are counted for the account. device is the part
// of the visitor's with which the user has signed in before; may be empty.
func (s *SignIn) check(ctx context.Context, u accounts.User, account string, e evidence, from Visitor) (p proof, device string, err error) {
	// Asked for unknown users too, so that they take the same.
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
