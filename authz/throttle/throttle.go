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

// TooManyError: so many attempts were wrong that no more are checked for a while.
type TooManyError struct {
	RetryAfter time.Duration
	// UserID is for the log alone. It is empty if there is no user with the name that
	// was typed.
	UserID string
}

func (e *TooManyError) Error() string {
	return fmt.Sprintf("too many failed attempts to sign in; try again in %s", e.RetryAfter)
}

// Store counts attempts, for all instances together.
type Store interface {
	// CountGuess adds one to a subject's count, and returns the count. If the count
	// began at since or before, its window is over, and a new one begins at now.
	CountGuess(ctx context.Context, subject string, now, since time.Time) (Tally, error)
	// UncountGuesses undoes what CountGuess returned: it subtracts one from each count
	// whose window is not over. If it is certain that the statement did not run, it
	// tries again, for a few seconds at most. If the statement may have run, it is not
	// repeated: that would subtract twice.
	UncountGuesses(ctx context.Context, counted []Tally) error
}

// Tally is a count: how many attempts there were for a subject since a moment.
type Tally struct {
	Subject string
	N       int64
	Since   time.Time
}

// Origin is where an attempt comes from.
type Origin struct {
	// Address is the network address by which attempts are counted.
	Address string
	// Shared is whether the address is that of an app's backend, which is the same for
	// all its users.
	Shared bool
	// ClientID is the first-party app that asks for the password itself; empty for the
	// sign-in page.
	ClientID string
}

// Throttle limits how many attempts to sign in are checked.
//
// Every attempt is counted in SQL before it is checked, so that an attacker gets no more
// guesses by sending many at once, or to many instances. If the attempt is not wrong, its
// count is undone. There are three counts: by account and address, by address, and by
// account. By the last one alone, a stranger could lock a user out everywhere. So it does
// not apply in a browser in which the user has signed in before, which has a count of its
// own; nor to users of a backend that does not tell their addresses: these are counted by
// account and backend.
//
// Until its count is undone, a right attempt counts like a wrong one. So that many right
// attempts at once do not lock each other out, only a few attempts with the same count are
// under way at once in this process.
//
// If more attempts come than can be checked, the latest are refused before they are
// counted, and so are those that have waited for half of their time.
type Throttle struct {
	guesses  Store
	line     *line
	pressing *pressing
	gates    *gates
	limit    int64
	window   time.Duration
	now      func() time.Time
}

// New returns a Throttle. Within window it allows limit wrong attempts for one account
// from one address, and ten times as many from one address or for one account. threads is
// how many attempts can be checked at the same time.
func New(guesses Store, threads, limit int, window time.Duration, now func() time.Time) *Throttle {
	return &Throttle{guesses, newLine(int64(threads)), newPressing(), newGates(), int64(limit), window, now}
}

// Join takes a place in the line, and returns a function by which to leave; or
// ErrCrowded. It decides by what is known before the database is asked: the account as it
// was typed, the value of the browser's device cookie, and the origin. The attempts of one
// address (an office in the morning, say) cannot fill the line, nor can those of many
// people who guess one account. Nor can they keep out the owner of that account: guesses
// from a single address cannot, and in a browser with a device cookie the owner has a
// share of their own, since others do not have that cookie.
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

// Attempt counts an attempt for an account, calls look to check it, and undoes the count
// if it was right. device is the browser's, if the user has signed in there before; empty
// otherwise. If it returns a *TooManyError or ErrCrowded, look was not called. Otherwise it
// returns what look returned.
func (t *Throttle) Attempt(ctx context.Context, account, device string, from Origin, look func(context.Context) (right bool, err error)) (right bool, err error) {
	return t.attempt(ctx, t.countsOf(account, device, from), from, look)
}

// AttemptWithoutName is Attempt for a secret that says itself whose it is, such as the token
// of a link: it is counted for the address alone.
func (t *Throttle) AttemptWithoutName(ctx context.Context, from Origin, look func(context.Context) (right bool, err error)) (right bool, err error) {
	return t.attempt(ctx, []count{t.countOfAddress(from)}, from, look)
}

func (t *Throttle) attempt(ctx context.Context, counts []count, from Origin, look func(context.Context) (right bool, err error)) (right bool, err error) {
	waiting, cancel := Patiently(ctx)
	defer cancel()
	// The gate of the narrowest count comes first: an attempt that waits there takes no
	// place at the others.
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
	// Only this attempt's count is undone. If the counts were set to zero, an attacker
	// with an account could clear their address by signing in to it.
	if err := errors.Join(err, t.uncount(ctx, counted)); err != nil {
		return false, err
	}
	return true, nil
}

// countsOf returns the counts of an attempt, in the order in which they are raised. After
// the first that is too high, the rest is not raised: attempts that are refused because of
// their address must not count against the account, nor add rows.
func (t *Throttle) countsOf(account, device string, from Origin) []count {
	account = subject("account", account)
	switch {
	case device != "":
		return []count{{subject("device", account, device), t.limit, 1}}
	case from.Shared:
		// One user of a backend must not lock out its other users, nor the owner of
		// the account where they come another way.
		return []count{{subject("client", account, from.ClientID), t.limit, 1}}
	}
	// For an account no number of attempts under way is too great: strangers who guess
	// would make the user wait.
	return []count{
		t.countOfAddress(from),
		{subject("pair", account, from.Address), t.limit, 1},
		{account, 10 * t.limit, 0},
	}
}

// countOfAddress returns the count of an address. Only so many attempts from it are under way
// at once that right ones in ten processes are needed to reach its limit.
func (t *Throttle) countOfAddress(from Origin) count {
	return count{subject("address", from.Address), 10 * t.limit, int(t.limit)}
}

// note remembers, for the line, that an address was throttled.
func (t *Throttle) note(err error, from Origin) {
	var tooMany *TooManyError
	// An attempt that only has to wait for others under way is not suspicious.
	if errors.As(err, &tooMany) && tooMany.RetryAfter > time.Second && !from.Shared {
		t.pressing.note(subject("address", from.Address), t.now())
	}
}

// count is the subject for which an attempt is counted, and its limits.
type count struct {
	subject string
	limit   int64
	// atOnce is how many attempts may be under way in this process; zero means any
	// number.
	atOnce int
}

// count raises the counts of an attempt; it returns a *TooManyError if one is too high.
// The tallies that it returns together with an error were raised, too.
func (t *Throttle) count(ctx context.Context, counts []count) (counted []Tally, err error) {
	// The statement must not be interrupted when the client closes the connection: then
	// nobody would know whether the attempt was counted.
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
		// There may be room as soon as the counts of attempts under way are undone.
		if tally.N-t.gates.through(c.subject) < c.limit {
			wait = time.Second
		}
		return counted, &TooManyError{RetryAfter: wait}
	}
	return counted, nil
}

// uncountWithin bounds how long it takes to undo the counts of an attempt. It goes on even
// if the client has closed the connection.
const uncountWithin = 3 * time.Second

func (t *Throttle) uncount(ctx context.Context, counted []Tally) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), uncountWithin)
	defer cancel()
	return t.guesses.UncountGuesses(ctx, counted)
}

// subject returns the name under which attempts are counted. It is a hash: names and
// addresses are personal data, and the count does not need them.
func subject(kind string, parts ...string) string {
	h := sha256.New()
	for _, part := range append([]string{kind}, parts...) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return kind + ":" + base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}
