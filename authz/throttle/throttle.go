package throttle

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"
)

// TooManyError: so many attempts failed that no more are heard for a while.
type TooManyError struct {
	RetryAfter time.Duration
	// UserID is for the log alone, and empty if nobody is known by what was typed.
	UserID string
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many failed attempts to sign in; try again in %s", e.RetryAfter)
}

// Store counts attempts, for all instances together.
type Store interface {
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

// Origin is where an attempt comes from.
type Origin struct {
	// Address is what attempts are counted by.
	Address string
	// Shared is whether the address is that of an app's backend, and says nothing
	// of the person.
	Shared bool
	// ClientID is the app that asks by itself; empty for the sign-in page.
	ClientID string
}

// Throttle bounds how many guesses are heard.
//
// Every attempt is counted before it is looked at, in SQL, so that
// neither many at once nor many instances make more of them; and taken back
// unless it was looked at and wrong. Three counts bound guessing: by
// account and address, by address, and by account. The last one would let a
// stranger lock the user out from everywhere, and so does not count for a browser
// in which the user has signed in before: that has its own. Nor does it for users
// of a backend that does not say where they are: these are counted by account and
// backend.
//
// Until it is taken back, a right attempt counts like a wrong one. So that many
// at once do not lock each other out, few of what is counted together are under
// way at once in this process.
//
// Where more come than can be looked at, the last are turned away before they are
// counted, and so are those who have waited for half of their time.
type Throttle struct {
	guesses  Store
	line     *line
	pressing *pressing
	gates    *gates
	limit    int64
	window   time.Duration
	now      func() time.Time
}

// New returns a Throttle that hears limit failures for one account from one
// address within window, and ten times as many from one address or for one
// account. Looking at attempts takes as many threads at once.
func New(guesses Store, threads, limit int, window time.Duration, now func() time.Time) *Throttle {
	return &Throttle{guesses, newLine(int64(threads)), newPressing(), newGates(), int64(limit), window, now}
}

// Join stands in the line, by what is known before the database is asked: the account
// as it was typed, and where that comes from. Neither one address, which may be an
// office in the morning, nor the many who guess one account keep everybody out. And
// nobody keeps out whoever has that account: not from a single address, and not out of
// a browser that is known, for they do not have its cookie, which is device. Returns
// how to leave the line, or ErrCrowded.
func (t *Throttle) Join(account, device string, from Origin) (leave func(), err error) {
	shares := map[string]int{subject("account", account, device): 2}
	if !from.Shared {
		address, share := subject("address", from.Address), 2
		if t.pressing.has(address, t.now()) {
			share = 16
		}
		shares[address] = share
		shares[subject("pair", account, from.Address)] = 4
	}
	return t.line.join(shares)
}

// Attempt counts an attempt for an account, has it looked at, and leaves no count of
// one that is right. device is that of the browser, if the user has signed in there
// before; empty otherwise. Returns a *TooManyError or ErrCrowded, and then it was not
// looked at; or the error of look.
func (t *Throttle) Attempt(ctx context.Context, account, device string, from Origin, look func(context.Context) (right bool, err error)) (right bool, err error) {
	counts := t.countsOf(account, device, from)
	waiting, cancel := Patiently(ctx)
	defer cancel()
	// The narrowest first: who waits for it takes no place of others.
	for _, c := range slices.Backward(counts) {
		if c.atOnce > 0 {
			leave, err := t.gates.enter(waiting, c.subject, c.atOnce)
			if err != nil {
				return false, err
			}
			defer leave()
		}
	}
	end, err := t.line.turn(waiting)
	if err != nil {
		return false, err
	}
	defer end()
	counted, err := t.count(ctx, counts)
	if err == nil {
		right, err = look(ctx)
	}
	if err == nil && !right {
		return false, nil
	}
	t.note(err, from)
	// Only this attempt is taken back: otherwise whoever has an account could
	// wipe the count of an address by signing in to it.
	if err := errors.Join(err, t.uncount(ctx, counted)); err != nil {
		return false, err
	}
	return true, nil
}

// countsOf is what an attempt is counted for, in this order, and no further than the
// first that refuses: what one address is refused must neither count against the
// account nor make rows.
func (t *Throttle) countsOf(account, device string, from Origin) []count {
	account = subject("account", account)
	switch {
	case device != "":
		return []count{{subject("device", account, device), t.limit, 1}}
	case from.Shared:
		// One visitor of a backend must not lock out all others, nor anyone who
		// comes another way.
		return []count{{subject("client", account, from.ClientID), t.limit, 1}}
	}
	// Of what comes from an address so many are under way that it takes ten
	// processes to fill its count. For an account there is no bound, or strangers
	// would hold up the user.
	return []count{
		{subject("address", from.Address), 10 * t.limit, int(t.limit)},
		{subject("pair", account, from.Address), t.limit, 1},
		{account, 10 * t.limit, 0},
	}
}

// note remembers for the line that an address goes on though it is throttled.
func (t *Throttle) note(err error, from Origin) {
	var tooMany *TooManyError
	// What only has to wait for others that are under way is no sign of anything.
	if errors.As(err, &tooMany) && tooMany.RetryAfter > time.Second && !from.Shared {
		t.pressing.note(subject("address", from.Address), t.now())
	}
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
func (t *Throttle) count(ctx context.Context, counts []count) (counted []Tally, err error) {
	// Whoever hangs up must not leave it open whether something was counted.
	counting := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		counting, cancel = context.WithDeadline(counting, deadline)
		defer cancel()
	}
	now := t.now()
	for _, c := range counts {
		if err := ctx.Err(); err != nil {
			return counted, fmt.Errorf("%w: %w", ErrUnheard, err)
		}
		tally, err := t.guesses.CountGuess(counting, c.subject, now, now.Add(-t.window))
		if err != nil {
			return counted, err
		}
		counted = append(counted, tally)
		if tally.N <= c.limit {
			continue
		}
		wait := tally.Since.Add(t.window).Sub(now).Truncate(time.Second) + time.Second
		// There may be room as soon as those that are under way are taken back.
		if tally.N-t.gates.through(c.subject) < c.limit {
			wait = time.Second
		}
		return counted, &TooManyError{RetryAfter: wait}
	}
	return counted, nil
}

// uncountWithin is how long it may take to take an attempt back, whether or not
// anybody waits for the answer.
const uncountWithin = 3 * time.Second

func (t *Throttle) uncount(ctx context.Context, counted []Tally) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), uncountWithin)
	defer cancel()
	return t.guesses.UncountGuesses(ctx, counted)
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
