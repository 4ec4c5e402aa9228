package accounts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/secure/precis"
)

// The bounds of a password, in characters. The lower one is that of NIST SP
// 800-63B and OWASP ASVS 5 (6.2.1); the upper one keeps a request small.
const (
	MinPassword = 8
	MaxPassword = 256
)

// The first guesses of whoever guesses passwords: what is among them is refused
// (OWASP ASVS 5, 6.2.4, asks for the 3,000 most common ones).
const firstGuesses = 10_000

// weighed is how much of a password is looked at for that, in bytes: the work
// grows with the cube of it. What follows a first guess of that length is not
// taken for a secret.
const weighed = 64

// ErrCrowded: more people sign in than passwords can be looked at. It passes.
var ErrCrowded error = crowded{}

type crowded struct{}

func (crowded) Error() string { return "too many passwords wait to be looked at" }

// Unavailable tells the edge that this is a 503.
func (crowded) Unavailable() bool { return true }

// CrowdedFor is when to come again after an ErrCrowded: about what it takes to look
// at all that may wait.
const CrowdedFor = 4 * time.Second

// Why a new password is refused: each is an ErrInvalid, and so is one with
// characters that cannot be typed.
var (
	ErrPasswordLength  = fmt.Errorf("%w: a password has %d to %d characters", ErrInvalid, MinPassword, MaxPassword)
	ErrPasswordName    = fmt.Errorf("%w: the password is the user name or the e-mail address", ErrInvalid)
	ErrPasswordGuessed = fmt.Errorf("%w: the password is one of those that are guessed first", ErrInvalid)
)

// errUnheard: a password was not looked at.
var errUnheard = errors.New("the password was not looked at")

// Passwords hashes and checks them, a few at a time: each takes a CPU for 20 ms and
// 19 MiB, and a crowd of them would take the server from everyone else.
type Passwords struct {
	hasher  *argon2.Hasher
	decoder *crypt.Decoder
	// atOnce is how many threads may hash at once. Whoever hashes takes them from
	// threads, and others wait in the order in which they came.
	atOnce  int64
	threads *semaphore.Weighted
	// nobody is the hash that is checked where there is no user, so that the
	// answer takes as long.
	nobody string
}

// NewPasswords returns argon2id with the parameters of OWASP (19 MiB, two passes,
// one lane), which takes as many threads at once, or with zero half of the CPUs: the
// other half is for those who have signed in.
func NewPasswords(atOnce int) (*Passwords, error) { return newPasswords(atOnce, 19*1024, 2) }

// newPasswords takes the memory, in KiB, and the passes of a hash.
func newPasswords(atOnce int, memory uint32, passes int) (*Passwords, error) {
	hasher, err := argon2.New(argon2.WithVariantID(), argon2.WithM(memory), argon2.WithT(passes), argon2.WithP(1))
	if err != nil {
		return nil, err
	}
	// Imported hashes of other kinds are read too.
	decoder, err := crypt.NewDefaultDecoder()
	if err != nil {
		return nil, err
	}
	digest, err := hasher.Hash(strings.Repeat("x", MinPassword))
	if err != nil {
		return nil, err
	}
	if atOnce == 0 {
		atOnce = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &Passwords{hasher, decoder, int64(atOnce), semaphore.NewWeighted(int64(atOnce)), digest.Encode()}, nil
}

// hashing waits until threads are free, runs f in them, and returns its error; or
// errUnheard. Where f takes more than there are, it takes all.
func (p *Passwords) hashing(ctx context.Context, threads int64, f func() error) error {
	waiting, cancel := patiently(ctx)
	defer cancel()
	threads = min(threads, p.atOnce)
	if p.threads.Acquire(waiting, threads) != nil {
		return fmt.Errorf("%w: %w", errUnheard, context.Cause(waiting))
	}
	defer p.threads.Release(threads)
	return f()
}

// patiently bounds how long it is waited for others: half of the time that is left
// to answer, after which it is ErrCrowded. The other half is for what is waited for.
func patiently(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithTimeoutCause(ctx, time.Until(deadline)/2, ErrCrowded)
}

// lanes finds how many threads an argon2 hash takes (its parameter p).
var lanes = regexp.MustCompile(`^\$argon2.*[$,]p=(\d{1,8})[$,]`)

// threadsOf is how many threads it takes to check a hash.
func threadsOf(hash string) int64 {
	if found := lanes.FindStringSubmatch(hash); found != nil {
		n, _ := strconv.ParseInt(found[1], 10, 64)
		return max(1, n)
	}
	return 1
}

// hashNew hashes a password that someone chose for a user, or returns ErrInvalid.
func (p *Passwords) hashNew(ctx context.Context, u User, password string) (hash string, err error) {
	password, err = prepare(password)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: the password holds characters that cannot be typed", ErrInvalid)
	case utf8.RuneCountInString(password) < MinPassword || utf8.RuneCountInString(password) > MaxPassword:
		return "", ErrPasswordLength
	case strings.EqualFold(password, u.Username) || strings.EqualFold(password, u.Email):
		return "", ErrPasswordName
	}
	err = p.hashing(ctx, 1, func() error {
		if guessable(password, u) {
			return ErrPasswordGuessed
		}
		digest, err := p.hasher.Hash(password)
		if err == nil {
			hash = digest.Encode()
		}
		return err
	})
	return hash, err
}

// guessable reports whether a password, which may be built from the user's name or
// address, is among the first guesses.
func guessable(password string, u User) bool {
	mailbox, _, _ := strings.Cut(u.Email, "@")
	own := []string{beginning(u.Username), beginning(u.Email), beginning(mailbox)}
	return zxcvbn.PasswordStrength(beginning(password), own).Entropy < math.Log2(firstGuesses)
}

// beginning is as much of a text as is weighed, and no half of a character.
func beginning(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), weighed)], "")
}

// match reports whether a password is the one behind a hash; an empty hash is
// nobody's and takes as long as any.
func (p *Passwords) match(ctx context.Context, hash, password string) (ok bool, err error) {
	password, invalid := prepare(password)
	if known := hash != ""; !known {
		hash = p.nobody
		defer func() { ok = false }()
	}
	var digest algorithm.Digest
	if digest, err = p.decoder.Decode(hash); err != nil {
		return false, fmt.Errorf("a stored password hash cannot be read: %w", err)
	}
	err = p.hashing(ctx, threadsOf(hash), func() error {
		ok, err = digest.MatchAdvanced(password)
		return err
	})
	return ok && invalid == nil && err == nil, err
}

// prepare brings a password into the form that is hashed, so that it can be
// typed on any keyboard (RFC 8265 section 4.2).
func prepare(password string) (string, error) {
	if len(password) > 4*MaxPassword {
		return "", ErrInvalid
	}
	prepared, err := precis.OpaqueString.String(password)
	if err != nil {
		return "", err
	}
	return prepared, nil
}
