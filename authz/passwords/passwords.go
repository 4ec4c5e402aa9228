package passwords

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"
	"github.com/go-crypt/crypt"
	"github.com/go-crypt/crypt/algorithm"
	"github.com/go-crypt/crypt/algorithm/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/secure/precis"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/throttle"
)

// The bounds of a password, in characters. The lower one is that of NIST SP
// 800-63B and OWASP ASVS 5 (6.2.1); the upper one keeps a request small.
const (
	MinLength = 8
	MaxLength = 256
)

// firstGuesses is how many guesses a new password must withstand: one that an attacker
// would try earlier is refused (OWASP ASVS 5, 6.2.4, asks for the 3,000 most common ones).
const firstGuesses = 10_000

// weighed is how much of a password is looked at for that, in bytes: the work
// grows with the cube of it. What follows a first guess of that length is not
// taken for a secret.
const weighed = 64

// Why a new password is refused: each is an accounts.ErrInvalid, and so is one with
// characters that cannot be typed.
var (
	ErrLength  = fmt.Errorf("%w: a password has %d to %d characters", accounts.ErrInvalid, MinLength, MaxLength)
	ErrName    = fmt.Errorf("%w: the password is the user name or the e-mail address", accounts.ErrInvalid)
	ErrGuessed = fmt.Errorf("%w: the password is one of those that are guessed first", accounts.ErrInvalid)
)

// Hasher hashes passwords and checks them against hashes, a few at a time. Each hash
// takes 20 ms of a CPU and 19 MiB. Without a bound, many sign-ins at once would leave
// nothing of the server to anyone else.
type Hasher struct {
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

// Cost is what computing a hash takes: memory in KiB, and the number of passes over it.
// Whoever has stolen the database pays it for every guess.
type Cost struct {
	Memory uint32
	Passes int
}

// Recommended is what OWASP recommends: 19 MiB, two passes.
var Recommended = Cost{Memory: 19 * 1024, Passes: 2}

// New returns a Hasher for argon2id with one lane. atOnce is how many threads may hash
// at the same time; zero means one for every second CPU, so that the others stay free for
// people who have signed in already.
func New(atOnce int, cost Cost) (*Hasher, error) {
	hasher, err := argon2.New(argon2.WithVariantID(), argon2.WithM(cost.Memory), argon2.WithT(cost.Passes), argon2.WithP(1))
	if err != nil {
		return nil, err
	}
	// Imported hashes of other kinds are read too.
	decoder, err := crypt.NewDefaultDecoder()
	if err != nil {
		return nil, err
	}
	if atOnce == 0 {
		atOnce = max(1, runtime.GOMAXPROCS(0)/2)
	}
	return &Hasher{hasher, decoder, int64(atOnce), semaphore.NewWeighted(int64(atOnce)), hashOfNobody(cost)}, nil
}

// hashOfNobody returns a hash of that cost which no password has: it is random, so that
// computing it does not keep a server from being ready.
func hashOfNobody(cost Cost) string {
	random := make([]byte, 16+32) // a salt and a hash, with the lengths that Hash makes
	rand.Read(random)
	text := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=1$%s$%s", cost.Memory, cost.Passes, text(random[:16]), text(random[16:]))
}

// AtOnce is how many threads hash at once.
func (p *Hasher) AtOnce() int { return int(p.atOnce) }

// InTurn waits until so many threads are free, runs f and returns its error. It returns
// throttle.ErrUnheard if the wait was too long. If f takes more threads than there are,
// it waits for all of them.
func (p *Hasher) InTurn(ctx context.Context, threads int, f func() error) error {
	waiting, cancel := throttle.Patiently(ctx)
	defer cancel()
	n := min(int64(threads), p.atOnce)
	if p.threads.Acquire(waiting, n) != nil {
		return fmt.Errorf("%w: %w", throttle.ErrUnheard, context.Cause(waiting))
	}
	defer p.threads.Release(n)
	return f()
}

// lanes finds how many threads an argon2 hash takes (its parameter p).
var lanes = regexp.MustCompile(`^\$argon2.*[$,]p=(\d{1,8})[$,]`)

// threadsOf is how many threads it takes to check a hash.
func threadsOf(hash string) int {
	if found := lanes.FindStringSubmatch(hash); found != nil {
		n, _ := strconv.Atoi(found[1])
		return max(1, n)
	}
	return 1
}

// Hash returns the hash of a new password for a user, or accounts.ErrInvalid if the
// password is refused.
func (p *Hasher) Hash(ctx context.Context, u accounts.User, password string) (string, error) {
	hash, err := p.hash(ctx, u, password)
	if errors.Is(err, accounts.ErrInvalid) {
		err = field.At(err, "password")
	}
	return hash, err
}

func (p *Hasher) hash(ctx context.Context, u accounts.User, password string) (hash string, err error) {
	password, err = prepare(password)
	switch {
	case err != nil || strings.ContainsRune(password, utf8.RuneError):
		// A JSON text has that character wherever it was sent bytes that are no text.
		return "", fmt.Errorf("%w: the password holds characters that cannot be typed", accounts.ErrInvalid)
	case utf8.RuneCountInString(password) < MinLength || utf8.RuneCountInString(password) > MaxLength:
		return "", ErrLength
	case strings.EqualFold(password, u.Username) || strings.EqualFold(password, u.Email):
		return "", ErrName
	}
	err = p.InTurn(ctx, 1, func() error {
		if guessable(password, u) {
			return ErrGuessed
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
func guessable(password string, u accounts.User) bool {
	mailbox, _, _ := strings.Cut(u.Email, "@")
	own := []string{beginning(u.Username), beginning(u.Email), beginning(mailbox)}
	return zxcvbn.PasswordStrength(beginning(password), own).Entropy < math.Log2(firstGuesses)
}

// beginning is as much of a text as is weighed, and no half of a character.
func beginning(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), weighed)], "")
}

// Match reports whether a hash was made from a password. An empty hash stands for a user
// that does not exist: nothing matches it, and the check takes as long as any other, so
// that the time does not tell which users there are.
func (p *Hasher) Match(ctx context.Context, hash, password string) (ok bool, err error) {
	password, invalid := prepare(password)
	if known := hash != ""; !known {
		hash = p.nobody
		defer func() { ok = false }()
	}
	var digest algorithm.Digest
	if digest, err = p.decoder.Decode(hash); err != nil {
		return false, fmt.Errorf("a stored password hash cannot be read: %w", err)
	}
	err = p.InTurn(ctx, threadsOf(hash), func() error {
		ok, err = digest.MatchAdvanced(password)
		return err
	})
	return ok && invalid == nil && err == nil, err
}

// prepare brings a password into the form that is hashed, so that it can be
// typed on any keyboard (RFC 8265 section 4.2).
func prepare(password string) (string, error) {
	if len(password) > 4*MaxLength {
		return "", accounts.ErrInvalid
	}
	prepared, err := precis.OpaqueString.String(password)
	if err != nil {
		return "", err
	}
	return prepared, nil
}
