package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/sessions"
)

// Notes seals a note (encrypts and authenticates it), so that it can travel through a
// browser, and opens it again. *masterkey.Notes does.
type Notes interface {
	Seal(note, about []byte) (string, error)
	Open(text string, about []byte) (note []byte, ok bool)
}

// NoteLife is for how long a person may think about a new password. After that they type
// the former one again.
const NoteLife = 10 * time.Minute

// ErrTooLate: the note is older than NoteLife, or the user has got another password since.
var ErrTooLate = errors.New("the password was typed too long ago")

// proved is the note that somebody has typed a user's password. It is good once: a new
// password raises the user's epoch.
type proved struct {
	UserID string `json:"sub"`
	Epoch  int64  `json:"epoch"`
}

// mustChange returns the error for a user whose password was right and must be changed.
func (s *SignIn) mustChange(u accounts.User, from Visitor) error {
	e := &MustChangeError{User: u}
	if from.ClientID != "" {
		return e
	}
	note, err := json.Marshal(proved{u.ID, int64(u.Epoch)})
	if err != nil {
		return err
	}
	if e.Note, err = s.notes.Seal(note, nil); err != nil {
		return err
	}
	return e
}

// Proved returns the user whom a note of MustChangeError is about, if the password is still
// the one that they have to change; otherwise ErrTooLate.
func (s *SignIn) Proved(ctx context.Context, note string) (accounts.User, error) {
	opened, ok := s.notes.Open(note, nil)
	var p proved
	if !ok || json.Unmarshal(opened, &p) != nil {
		return accounts.User{}, ErrTooLate
	}
	u, err := s.users.ByID(ctx, p.UserID)
	if err == nil && !p.about(u) || errors.Is(err, accounts.ErrNotFound) {
		err = ErrTooLate
	}
	return u, err
}

func (p proved) about(u accounts.User) bool {
	return u.MustChange && !u.Disabled && int64(u.Epoch) == p.Epoch
}

// SetNew replaces the password of the user whom a note of MustChangeError is about, ends
// what was issued for them, and begins a login session. Returns ErrTooLate, ErrWrong,
// throttle.ErrCrowded or, if the new password is not acceptable, accounts.ErrInvalid: in
// these cases nothing has changed. Returns sessions.ErrNotFound as Change does.
func (s *SignIn) SetNew(ctx context.Context, note, new string, from Visitor) (in SignedIn, err error) {
	defer func() { s.refusals.note(err, from.Address) }()
	u, err := s.Proved(ctx, note)
	if err != nil {
		return SignedIn{}, err
	}
	leave, err := s.throttle.Join(u.ID, from.Device, from.origin())
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	// It would be no change, and whoever has set it would know it still.
	same, err := s.passwords.Match(ctx, u.Password, new)
	if err != nil {
		return SignedIn{}, err
	}
	if same {
		return SignedIn{}, ErrSame
	}
	device, err := s.deviceOf(ctx, u.ID, from.Device)
	if err != nil {
		return SignedIn{}, err
	}
	err = s.users.SetPassword(ctx, u, new, func(is accounts.User, _ accounts.Others) error {
		if is.Epoch != u.Epoch || is.Disabled {
			return ErrTooLate
		}
		return nil
	}, "changed at the sign-in", audit.User(u.ID))
	if errors.Is(err, accounts.ErrNotFound) {
		err = ErrTooLate
	}
	if err != nil {
		return SignedIn{}, err
	}
	return s.beginAgain(ctx, u, proof{[]string{typed{}.method()}, sessions.OneFactor}, device, from)
}

// ErrSame: a password that must be changed was typed as the new one.
var ErrSame = fmt.Errorf("%w: the new password is the former one", accounts.ErrInvalid)

// LinkOwner returns the user who may set a password by the link with that token. Returns
// accounts.ErrNoLink, a *throttle.TooManyError or throttle.ErrCrowded.
func (s *SignIn) LinkOwner(ctx context.Context, token string, from Visitor) (u accounts.User, err error) {
	err = s.withLink(ctx, from, func(ctx context.Context) error {
		u, _, err = s.users.LinkOwner(ctx, token)
		return err
	})
	return u, err
}

// UseLink sets the password of the user of a link, and ends what was issued for them. It
// signs nobody in: the link came by a way that others may have seen. Returns what LinkOwner
// does or, if the password is not acceptable, accounts.ErrInvalid and the user.
func (s *SignIn) UseLink(ctx context.Context, token, password string, from Visitor) (u accounts.User, err error) {
	err = s.withLink(ctx, from, func(ctx context.Context) error {
		u, err = s.users.UseLink(ctx, token, password)
		return err
	})
	return u, err
}

// withLink counts an attempt to use a link. Tokens cannot be guessed; but whoever tries is
// heard no more often than with passwords.
func (s *SignIn) withLink(ctx context.Context, from Visitor, look func(context.Context) error) (err error) {
	defer func() { s.refusals.note(err, from.Address) }()
	leave, err := s.throttle.Join("a link\x00"+from.Address, "", from.origin())
	if err != nil {
		return err
	}
	defer leave()
	right, err := s.throttle.AttemptWithoutName(ctx, from.origin(), func(ctx context.Context) (bool, error) {
		err := look(ctx)
		if errors.Is(err, accounts.ErrNoLink) {
			return false, nil
		}
		return true, err
	})
	if err == nil && !right {
		err = accounts.ErrNoLink
	}
	return err
}
