package keys

import (
	"bytes"
	"context"
	"crypto"
	"crypto/cipher"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"
)

// ErrNoSigningKey: no key of the ring can sign, or seal. That is a fault of the server, and
// temporary.
var ErrNoSigningKey error = noSigningKey{}

type noSigningKey struct{}

func (noSigningKey) Error() string { return "no key of the ring can sign" }

// Unavailable makes web answer with 503.
func (noSigningKey) Unavailable() bool { return true }

// Keyring holds the signing keys of all rings, signs with them, and verifies what they
// signed. Its methods are safe for concurrent use.
type Keyring struct {
	store  Store
	master Sealer
	policy Policy
	now    func() time.Time
	// engine makes RSA signatures; nil if crypto/rsa does.
	engine Engine

	reloading sync.Mutex
	held      atomic.Pointer[snapshot]
	good      *otter.Cache[question, goodToken]
}

// New returns a Keyring with no keys; Reload or Maintain reads them from store. master may
// be nil if the Keyring is only to read and verify.
func New(store Store, master Sealer, p Policy, now func() time.Time) *Keyring {
	k := &Keyring{
		store: store, master: master, policy: p, now: now,
		good: otter.Must(&otter.Options[question, goodToken]{MaximumSize: remembered}),
	}
	k.held.Store(&snapshot{})
	return k
}

// Engine makes RSA signatures; *openssl.Library does.
type Engine interface {
	// Signer returns a key whose signatures the engine makes. If it implements io.Closer,
	// it is closed when the key leaves the rings, and may be signing still. The engine
	// itself logs an error: the key signs by crypto/rsa then.
	Signer(kid string, key *rsa.PrivateKey) (crypto.Signer, error)
}

// Use has an engine make the signatures of the keys that are read from now on.
func (k *Keyring) Use(e Engine) { k.engine = e }

type signingKey struct {
	kid     string
	ring    Ring
	from    time.Time
	private crypto.Signer
	by      Algorithm
	// aead is the key instead of private, in the ring Seals.
	aead cipher.AEAD
	// headers has the beginning of a token for each typ (see headerOf).
	headers sync.Map
}

// Reload reads the rings. If the master key does not open a private key, that is
// ErrMasterKey, and that key does not sign. All else that was read is in effect even then,
// so that a withdrawal is not delayed.
func (k *Keyring) Reload(ctx context.Context) error {
	// One at a time; otherwise an older read could replace a newer one.
	k.reloading.Lock()
	defer k.reloading.Unlock()
	records, err := k.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	next := &snapshot{records: records, verifying: map[Ring]KeySet{}, signing: map[Ring][]*signingKey{}, hints: newKeySet()}
	before := k.held.Load()
	next.number = before.number + 1
	// Whichever way this ends, keys that no snapshot holds any more are closed.
	opened := slices.Concat(slices.Collect(maps.Values(before.signing))...)
	defer func() { k.held.Load().closeOthers(opened) }()
	var sealed error
	for _, s := range statuses(records, k.policy, k.now()) {
		// A newer version may have rings that this one does not know.
		if s.State == Withdrawn || !slices.Contains(Rings(), s.Ring) {
			continue
		}
		if s.Ring == Audit {
			own, err := k.vouches(s.record)
			if err != nil {
				sealed = errors.Join(sealed, err)
				next.unopened = append(next.unopened, s.KID)
			}
			if !own {
				continue
			}
		}
		if err := next.verifies(s); err != nil {
			return err
		}
		if k.master == nil || s.record.Sealed == nil || s.State == Gone || s.Ring == Audit && k.isSpent(s, k.now()) {
			continue
		}
		sk := before.signer(s.Ring, s.KID)
		if sk == nil || !sk.from.Equal(s.SignsFrom) {
			if sk, err = k.unseal(s.record); err != nil {
				sealed = errors.Join(sealed, err)
				next.unopened = append(next.unopened, s.KID)
				continue
			}
			opened = append(opened, sk)
		}
		next.signing[s.Ring] = append(next.signing[s.Ring], sk)
	}
	for _, list := range next.signing {
		slices.SortFunc(list, func(a, b *signingKey) int { return a.from.Compare(b.from) })
	}
	// Anybody can cause a Reload, with a token that names an unknown key. So if nothing
	// has changed, the old snapshot stays, and with it the verified tokens and the key
	// set that were remembered.
	if !before.same(next) {
		k.held.Store(next)
	}
	return sealed
}

func (k *Keyring) unseal(r Record) (*signingKey, error) {
	der, err := k.master.Open(r.Ring, r.KID, r.Sealed)
	if err != nil {
		return nil, err
	}
	if r.Ring == Seals {
		return newSealKey(r, der)
	}
	private, err := parsePrivate(r, der)
	if err != nil {
		return nil, err
	}
	return &signingKey{kid: r.KID, ring: r.Ring, from: r.SignsFrom, private: k.faster(r.KID, private), by: r.Ring.Algorithm()}, nil
}

func parsePrivate(r Record, der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := key.(crypto.Signer)
	if err != nil || !ok || !fits(r.Ring.Algorithm(), private.Public()) {
		return nil, fmt.Errorf("the private half of signing key %s cannot be read", r.KID)
	}
	return private, nil
}

// vouches reports whether the public half of a key is the one that the server made: its
// private half was sealed under the master key. What the ring Audit signs is to find out
// somebody who writes to the database, and they could put a key of their own there.
func (k *Keyring) vouches(r Record) (bool, error) {
	if k.master == nil || r.Sealed == nil {
		return false, nil
	}
	der, err := k.master.Open(r.Ring, r.KID, r.Sealed)
	if err != nil {
		return false, err
	}
	private, err := parsePrivate(r, der)
	if err != nil {
		return false, err
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	return bytes.Equal(public, r.Public), err
}

// faster returns a key whose signatures the engine makes, if it can.
func (k *Keyring) faster(kid string, private crypto.Signer) crypto.Signer {
	key, ok := private.(*rsa.PrivateKey)
	if !ok || k.engine == nil {
		return private
	}
	native, err := k.engine.Signer(kid, key)
	if err != nil {
		return private
	}
	return native
}

func parsePublic(r Record) (crypto.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(r.Public)
	if err != nil || !fits(r.Ring.Algorithm(), key) {
		return nil, fmt.Errorf("the public half of signing key %s cannot be read", r.KID)
	}
	return key, nil
}

// SignsNow returns the kid of the key of the ring that signs now.
func (k *Keyring) SignsNow(ring Ring) (kid string, err error) {
	sk, err := k.signing(ring)
	if err != nil {
		return "", err
	}
	return sk.kid, nil
}

// CanSign reports whether SignWith can sign with a key.
func (k *Keyring) CanSign(ring Ring, kid string) bool { return k.held.Load().signer(ring, kid) != nil }

func (k *Keyring) signing(ring Ring) (*signingKey, error) {
	list := k.held.Load().signing[ring]
	now := k.now()
	for i, sk := range slices.Backward(list) {
		// If even the first has not begun yet, a process whose clock is ahead
		// withdrew the key before it. All verifiers know this one, so it signs.
		if i == 0 || !now.Before(sk.from) {
			return sk, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", ErrNoSigningKey, ring)
}

// Verify checks that a key of the ring, or of another with the same purpose, signed a
// token by its own algorithm, and that its `typ` is this one. If
// not, the error is ErrInvalidToken.
//
// Resource servers ask about the same token many times, so tokens that were found good are
// remembered. They are remembered by their hash, so that a dump of the memory has no
// tokens; and only until the rings change, so that none outlives the withdrawal of its
// key. Bad tokens are not remembered: an attacker could fill the memory with them.
func (k *Keyring) Verify(ring Ring, token, typ string) (Verified, error) {
	held, now := k.held.Load(), k.now()
	if len(token) > MaxTokenLength {
		return Verified{}, errTooLong
	}
	asked := questionOf(ring, token, typ)
	if known, ok := k.good.GetIfPresent(asked); ok && known.held == held.number && known.key.live(now) {
		return known.verified, nil
	}
	set := held.verifying[ring.purpose()]
	v, err := set.verify(token, typ, now)
	if err == nil {
		k.good.Set(asked, goodToken{held.number, set.keys[v.KID], v})
	}
	return v, err
}

// VerifyHint checks a token of the ring Tokens that gives no access and is only a hint,
// such as the ID token in a request to sign out. It may have expired long ago, and its key
// may be gone from the key set. A token of a withdrawn key is refused here too. The error
// is ErrInvalidToken.
func (k *Keyring) VerifyHint(token, typ string) (Verified, error) {
	if len(token) > MaxTokenLength {
		return Verified{}, errTooLong
	}
	return k.held.Load().hints.verify(token, typ, k.now())
}

// question is the arguments of Verify, with the token's hash instead of the token.
type question struct {
	ring Ring
	typ  string
	hash [sha256.Size]byte
}

func questionOf(ring Ring, token, typ string) question {
	return question{ring.purpose(), typ, sha256.Sum256([]byte(token))}
}

// goodToken is a token that was found good.
type goodToken struct {
	held     uint64
	key      verificationKey
	verified Verified
}

// remembered is how many tokens that were found good are remembered, at about 1 KB each.
const remembered = 8192

// List returns all keys with their states, by ring and in the order in which
// they sign.
func (k *Keyring) List() []Status {
	return listed(k.held.Load(), k.policy, k.now())
}

func listed(held *snapshot, p Policy, now time.Time) (list []Status) {
	all := statuses(held.records, p, now)
	for _, ring := range Rings() {
		list = append(list, ringOf(all, ring).all...)
	}
	return list
}

// KeySetMaxAge returns for how long the published key set may be cached.
func (k *Keyring) KeySetMaxAge() time.Duration { return k.policy.JWKSMaxAge }
