package signin

import (
	"errors"

	"github.com/ingam/ingam/authz/accounts"
)

// ErrWrong: unknown user, wrong password or disabled user; which is nobody's
// business but the operator's. What is returned is a *WrongError.
var ErrWrong = errors.New("unknown user or wrong password")

// Reason is why nobody was signed in, as the log has it.
type Reason string

// The reasons.
const (
	// ReasonUnknown: there is no such user, or several by an address.
	ReasonUnknown Reason = "unknown"
	ReasonWrong   Reason = "wrong"
	// ReasonDisabled: with the right password.
	ReasonDisabled  Reason = "disabled"
	ReasonThrottled Reason = "throttled"
	// ReasonCut: the user was cut, disabled or deleted while the password was
	// looked at.
	ReasonCut Reason = "cut"
)

// WrongError is an ErrWrong, and reads like one, with what only the log may say:
// told to whoever asks, it would tell strangers who has an account.
type WrongError struct {
	// UserID is empty if nobody is known by what was typed.
	UserID string
	Reason Reason
}

func (e *WrongError) Error() string { return ErrWrong.Error() }

// Is makes it an ErrWrong.
func (e *WrongError) Is(target error) bool { return target == ErrWrong }

// wrong says why a user, who may be nobody, is not signed in.
func wrong(u accounts.User, right bool) error {
	e := &WrongError{u.ID, ReasonWrong}
	switch {
	case u.ID == "":
		e.Reason = ReasonUnknown
	case right:
		e.Reason = ReasonDisabled
	}
	return e
}
