package accounts

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/audit"
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

// TooManyError: so many attempts failed that no more are heard for a while.
type TooManyError struct {
	RetryAfter time.Duration
	// UserID is for the log alone, and empty if nobody is known by what was typed.
	UserID string
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many failed attempts to sign in; try again in %s", e.RetryAfter)
}

// GuessStore counts attempts, for all instances together.
type GuessStore interface {
	// CountGuess adds one to a subject's count within a window that ends where it
	// began at or before since, and returns what it then is.
	CountGuess(ctx context.Context, subject string, now, since time.Time) (Tally, error)
	// UncountGuesses takes back what CountGuess returned: one from each count,
	// unless its window is over. While that certainly did not happen it tries
	// again, for a few seconds at most; what may have happened is not repeated.
	UncountGuesses(ctx context.Context, counted []Tally) error
}

// Tally is how many attempts there were for a subject since a moment.
type Tally struct {
	Subject string
	N       int64
	Since   time.Time
}

// Visitor is where a request comes from.
type Visitor struct {
	// Address is what attempts are counted by: see package clients.
	Address, UserAgent string
	// Device is the value of the cookie that outlives sessions; may be empty. See
	// devicesOf.
	Device string
	// Session is the id of the login session that the browser has; may be empty.
	Session string
	// ClientID is the app that asks for the password by itself; empty for the
	// sign-in page.
	ClientID string
	// Shared is whether the address is that of an app's backend, and says nothing
	// of the person.
	Shared bool
}

// SignIn is how a person proves who they are.
//
// Every attempt is counted before the password is looked at, in SQL, so that
// neither many at once nor many instances make more of them; and taken back
// unless the password was looked at and wrong. Three counts bound guessing: by
// account and address, by address, and by account. The last one would let a
// stranger lock the user out from everywhere, and so does not count for a browser
// in which the user has signed in before: that has its own. Nor does it for users
// of a backend that does not say where they are: these are counted by account and
// backend.
//
// Until it is taken back, a right password counts like a wrong one. So that many
// at once do not lock each other out, few of what is counted together are under
// way at once in this process.
//
// Where more come than can be looked at, the last are turned away before they are
// counted, and so are those who have waited for half of their time.
type SignIn struct {
	users     *Directory
	sessions  *Sessions
	passwords *Passwords
	guesses   GuessStore
	refusals  *Refusals
	line      *line
	pressing  *pressing
	gates     *gates
	limit     int64
	window    time.Duration
	now       func() time.Time
}

// NewSignIn returns a SignIn that hears limit failures for one account from one
// address within window, and ten times as many from one address or for one
// account.
func NewSignIn(users *Directory, sessions *Sessions, guesses GuessStore, refusals *Refusals, limit int, window time.Duration, now func() time.Time) *SignIn {
	return &SignIn{users, sessions, users.passwords, guesses, refusals, newLine(users.passwords.atOnce), newPressing(), newGates(), int64(limit), window, now}
}

// SignedIn is what a sign-in leaves in the browser.
type SignedIn struct {
	// Secret is the session cookie's value, Device the device cookie's.
	Secret, Device string
	User           User
	Session        Session
	// Former are the sessions that the app began in that device before.
	Former []Session
}

// Do checks the password of the user whom a person names, by user name or by
// address, and begins a login session. Returns ErrWrong, a *TooManyError or
// ErrCrowded.
func (s *SignIn) Do(ctx context.Context, name, password string, from Visitor) (in SignedIn, err error) {
	defer func() { s.note(err, from) }()
	leave, err := s.join(name, from)
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	u, err := s.users.bySignInName(ctx, name)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return SignedIn{}, err
	}
	device, err := s.check(ctx, u, accountOf(u, name), password, from)
	if err != nil {
		return SignedIn{}, err
	}
	return s.begin(ctx, u, device, from)
}

// Change replaces the password of a user who knows the one they have, which
// ends all their sessions, and begins a new one. Returns ErrWrong or a
// *TooManyError, ErrCrowded, or ErrInvalid for a new password that will not do; then
// nothing was changed. If the password was changed and no session could be begun, it
// returns ErrNoSession.
func (s *SignIn) Change(ctx context.Context, u User, current, new, reason string, from Visitor) (in SignedIn, err error) {
	defer func() { s.note(err, from) }()
	leave, err := s.join(u.ID, from)
	if err != nil {
		return SignedIn{}, err
	}
	defer leave()
	// By id: whoever was renamed a moment ago would find another user by the name
	// that they had, perhaps as the address of that one.
	u, err = s.users.ByID(ctx, u.ID)
	if errors.Is(err, ErrNotFound) {
		return SignedIn{}, &WrongError{Reason: ReasonUnknown}
	}
	if err != nil {
		return SignedIn{}, err
	}
	device, err := s.check(ctx, u, u.ID, current, from)
	if err != nil {
		return SignedIn{}, err
	}
	if err := s.users.SetPassword(ctx, u, new, reason, audit.Actor("user:"+u.ID)); err != nil {
		return SignedIn{}, err
	}
	changed, err := s.users.ByID(ctx, u.ID)
	if err != nil {
		return SignedIn{}, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	if in, err = s.begin(ctx, changed, device, from); err != nil {
		return SignedIn{}, fmt.Errorf("%w: %w", ErrNoSession, err)
	}
	return in, nil
}

// join stands in the line, by what is known before the database is asked: the name
// as it was typed, and where that comes from. Neither one address, which may be an
// office in the morning, nor the many who guess one account keep everybody out. And
// nobody keeps out whoever has that account: not from a single address, and not out of
// a browser that is known, for they do not have its cookie.
func (s *SignIn) join(name string, from Visitor) (leave func(), err error) {
	account := accountOf(User{}, name)
	shares := map[string]int{subject("account", account, from.Device): 2}
	if !from.Shared {
		address, share := subject("address", from.Address), 2
		if s.pressing.has(address, s.now()) {
			share = 16
		}
		shares[address] = share
		shares[subject("pair", account, from.Address)] = 4
	}
	return s.line.join(shares)
}

// note remembers a refusal, for the audit log and for the line.
func (s *SignIn) note(err error, from Visitor) {
	s.refusals.note(err, from.Address)
	var tooMany *TooManyError
	// What only has to wait for others that are under way is no sign of anything.
	if errors.As(err, &tooMany) && tooMany.RetryAfter > time.Second && !from.Shared {
		s.pressing.note(subject("address", from.Address), s.now())
	}
}

func (s *SignIn) begin(ctx context.Context, u User, device string, from Visitor) (in SignedIn, err error) {
	devices := devicesOf(from.Device)
	if from.ClientID != "" {
		// Before the new one, so that none of two at once ends the other's.
		for _, d := range devices {
			former, err := s.sessions.store.AppSessions(ctx, from.ClientID, sha256.Sum256([]byte(d)))
			if err != nil {
				return SignedIn{}, err
			}
			in.Former = append(in.Former, former...)
		}
	}
	if device == "" {
		// What somebody else may know, who used this device before or planted the
		// cookie, or made the value up, does not become this user's.
		device = rand.Text()
	}
	devices = append(slices.DeleteFunc(devices, func(d string) bool { return d == device }), device)
	in.User, in.Device = u, strings.Join(devices[max(0, len(devices)-mostDevices):], deviceSeparator)
	in.Secret, in.Session, err = s.sessions.begin(ctx, u, from, device)
	if errors.Is(err, ErrNotFound) {
		return SignedIn{}, &WrongError{u.ID, ReasonCut}
	}
	if err != nil {
		return SignedIn{}, err
	}
	return in, nil
}

// devicesOf splits the value by which a device is known: one part for each of the
// last users who signed in there, none of whom knows that of the next.
func devicesOf(value string) []string {
	var devices []string
	for _, d := range strings.SplitN(value, deviceSeparator, mostDevices+1) {
		if len(d) == deviceLength && len(devices) < mostDevices {
			devices = append(devices, d)
		}
	}
	return devices
}

const (
	deviceSeparator = "."
	deviceLength    = 26 // rand.Text
	mostDevices     = 5
)

// check checks the password of a user, who may be nobody, and leaves no count of one
// that is right. Attempts are counted for the account. device is the part of the
// visitor's with which the user has signed in before; may be empty.
func (s *SignIn) check(ctx context.Context, u User, of, password string, from Visitor) (device string, err error) {
	// Asked for unknown users too, so that they take the same.
	if device, err = s.sessions.deviceOf(ctx, u.ID, from.Device); err != nil {
		return "", err
	}
	account := subject("account", of)
	// In this order, and no further than the first that refuses: what one
	// address is refused must neither count against the account nor make rows.
	// Of what comes from an address so many are under way that it takes ten
	// processes to fill its count. For an account there is no bound, or strangers
	// would hold up the user.
	counts := []count{
		{subject("address", from.Address), 10 * s.limit, int(s.limit)},
		{subject("pair", account, from.Address), s.limit, 1},
		{account, 10 * s.limit, 0},
	}
	switch {
	case device != "":
		counts = []count{{subject("device", account, device), s.limit, 1}}
	case from.Shared:
		// One visitor of a backend must not lock out all others, nor anyone who
		// comes another way.
		counts = []count{{subject("client", account, from.ClientID), s.limit, 1}}
	}
	waiting, cancel := patiently(ctx)
	defer cancel()
	// The narrowest first: who waits for it takes no place of others.
	for _, c := range slices.Backward(counts) {
		if c.atOnce > 0 {
			leave, err := s.gates.enter(waiting, c.subject, c.atOnce)
			if err != nil {
				return "", err
			}
			defer leave()
		}
	}
	end, err := s.line.turn(waiting)
	if err != nil {
		return "", err
	}
	defer end()
	counted, err := s.count(ctx, counts)
	right := false
	if err == nil {
		right, err = s.passwords.match(ctx, u.Password, password)
	}
	if err == nil && (!right || u.Disabled) {
		return "", wrong(u, right)
	}
	var tooMany *TooManyError
	if errors.As(err, &tooMany) {
		tooMany.UserID = u.ID
	}
	// Only this attempt is taken back: otherwise whoever has an account could
	// wipe the count of an address by signing in to it.
	if err := errors.Join(err, s.uncount(ctx, counted)); err != nil {
		return "", err
	}
	return device, nil
}

// wrong says why a user, who may be nobody, is not signed in.
func wrong(u User, right bool) error {
	e := &WrongError{u.ID, ReasonWrong}
	switch {
	case u.ID == "":
		e.Reason = ReasonUnknown
	case right:
		e.Reason = ReasonDisabled
	}
	return e
}

// count is what attempts are counted for, and how many there may be.
type count struct {
	subject string
	limit   int64
	// atOnce is how many may be under way in this process; zero is any.
	atOnce int
}

// count counts an attempt, or returns a *TooManyError. What it returns beside an
// error was counted all the same.
func (s *SignIn) count(ctx context.Context, counts []count) (counted []Tally, err error) {
	// Whoever hangs up must not leave it open whether something was counted.
	counting := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		counting, cancel = context.WithDeadline(counting, deadline)
		defer cancel()
	}
	now := s.now()
	for _, c := range counts {
		if err := ctx.Err(); err != nil {
			return counted, fmt.Errorf("%w: %w", errUnheard, err)
		}
		t, err := s.guesses.CountGuess(counting, c.subject, now, now.Add(-s.window))
		if err != nil {
			return counted, err
		}
		counted = append(counted, t)
		if t.N <= c.limit {
			continue
		}
		wait := t.Since.Add(s.window).Sub(now).Truncate(time.Second) + time.Second
		// There may be room as soon as those that are under way are taken back.
		if t.N-s.gates.through(c.subject) < c.limit {
			wait = time.Second
		}
		return counted, &TooManyError{RetryAfter: wait}
	}
	return counted, nil
}

// uncountWithin is how long it may take to take an attempt back, whether or not
// anybody waits for the answer.
const uncountWithin = 3 * time.Second

func (s *SignIn) uncount(ctx context.Context, counted []Tally) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), uncountWithin)
	defer cancel()
	return s.guesses.UncountGuesses(ctx, counted)
}

// accountOf is the user's id, however they were named, or, where there is none, the
// name as it was typed.
func accountOf(u User, name string) string {
	if u.ID != "" {
		return u.ID
	}
	// As it would be found: otherwise spellings of a name that is not there
	// would be counted apart, and those of one that is there together.
	if normal, err := NormalizeUsername(name); err == nil {
		name = normal
	}
	return "unknown\x00" + name
}

// subject names what attempts are counted for. Names and addresses are personal
// data, and the count does not need them.
func subject(kind string, parts ...string) string {
	h := sha256.New()
	for _, part := range append([]string{kind}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return kind + ":" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}
