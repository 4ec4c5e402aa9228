package accounts

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
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

// waiting is how many may wait for each place: what it takes to hash a few
// seconds long. Whoever waits longer has gone away.
const waiting = 128

// errCrowded: too many wait for their password to be looked at. It passes.
var errCrowded error = crowded{}

type crowded struct{}

func (crowded) Error() string { return "too many passwords wait to be looked at" }

// Unavailable tells the edge that this is a 503.
func (crowded) Unavailable() bool { return true }

// Why a new password is refused: each is an ErrInvalid, and so is one with
// characters that cannot be typed.
var (
	ErrPasswordLength  = fmt.Errorf("%w: a password has %d to %d characters", ErrInvalid, MinPassword, MaxPassword)
	ErrPasswordName    = fmt.Errorf("%w: the password is the user name or the e-mail address", ErrInvalid)
	ErrPasswordGuessed = fmt.Errorf("%w: the password is one of those that are guessed first", ErrInvalid)
)

// errUnheard: a password was not looked at.
var errUnheard = errors.New("the password was not looked at")

// Passwords hashes and checks them, a few at a time: each takes 19 MiB, and a
// crowd of them would take the server down.
type Passwords struct {
	hasher  *argon2.Hasher
	decoder *crypt.Decoder
	// places holds a token for each hash that may run, queue for each that runs
	// or waits.
	places, queue chan struct{}
	// nobody is the hash that is checked where there is no user, so that the
	// answer takes as long.
	nobody string
}

// NewPasswords returns argon2id with the parameters of OWASP (19 MiB, two
// passes, one lane), running at most as many at once as there are CPUs.
func NewPasswords() (*Passwords, error) { return newPasswords(19*1024, 2) }

// newPasswords takes the memory, in KiB, and the passes of a hash.
func newPasswords(memory uint32, passes int) (*Passwords, error) {
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
	places := runtime.GOMAXPROCS(0)
	return &Passwords{hasher, decoder, make(chan struct{}, places), make(chan struct{}, places*waiting), digest.Encode()}, nil
}

// alone waits for a place and runs f in it; or returns errUnheard.
func (p *Passwords) alone(ctx context.Context, f func() error) error {
	select {
	case p.queue <- struct{}{}:
	default:
		return fmt.Errorf("%w: %w", errUnheard, errCrowded)
	}
	defer func() { <-p.queue }()
	select {
	case p.places <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", errUnheard, ctx.Err())
	}
	defer func() { <-p.places }()
	return f()
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
	case guessable(password, u):
		return "", ErrPasswordGuessed
	}
	err = p.alone(ctx, func() error {
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
	err = p.alone(ctx, func() error {
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
