package signin

import (
	"errors"

	"github.com/ingam/ingam/authz/accounts"
)

// ErrWrong: the user is unknown or disabled, or the password is wrong. The text does not
// say which: it would tell strangers who has an account. Errors like it are *WrongError.
var ErrWrong = errors.New("unknown user or wrong password")

// Reason is why a sign-in was refused, as it is logged.
type Reason string

// The reasons.
const (
	// ReasonUnknown: there is no such user, or several users have the address.
	ReasonUnknown Reason = "unknown"
	ReasonWrong   Reason = "wrong"
	// ReasonDisabled: the user is disabled, and the password was right.
	ReasonDisabled  Reason = "disabled"
	ReasonThrottled Reason = "throttled"
	// ReasonCut: the user was revoked, disabled or deleted while the password was
	// checked.
	ReasonCut Reason = "cut"
	// ReasonMustChange: the password was right, and must be changed first.
	ReasonMustChange Reason = "must_change"
)

// MustChangeError: the password was right, and must be changed before anybody is signed in.
type MustChangeError struct {
	User accounts.User
	// Note is for SetNew, which then asks for no other proof. It is empty for an app that
	// asks for the password itself.
	Note string
}

func (e *MustChangeError) Error() string { return "the password must be changed first" }

// WrongError is an ErrWrong with the user and the reason, for the log alone. Its text is
// that of ErrWrong.
type WrongError struct {
	// UserID is empty if there is no user with the name that was typed.
	UserID string
	Reason Reason
}

func (e *WrongError) Error() string { return ErrWrong.Error() }

// Is makes errors.Is report that the error is an ErrWrong.
func (e *WrongError) Is(target error) bool { return target == ErrWrong }

// wrong returns why a user, who may not exist, is not signed in. right is whether the
// password was right.
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
