package keys

import (
	"context"
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

	"github.com/go-jose/go-jose/v4"
	"github.com/maypok86/otter/v2"
)

// errNoSigningKey: there is no key of the ring that could sign. It is a fault of
// the server's, which passes.
var errNoSigningKey error = noSigningKey{}

type noSigningKey struct{}

func (noSigningKey) Error() string { return "no key of the ring can sign" }

// Unavailable tells the edge that this is a 503.
func (noSigningKey) Unavailable() bool { return true }

// Keyring is both rings. Its methods are safe for concurrent use.
type Keyring struct {
	store  Store
	master Sealer
	policy Policy
	now    func() time.Time

	reloading sync.Mutex
	held      atomic.Pointer[snapshot]
	good      *otter.Cache[question, goodToken]
}

// New returns the rings in store; Reload or Maintain loads them. master may be
// nil for what only reads and verifies.
func New(store Store, master Sealer, p Policy, now func() time.Time) *Keyring {
	k := &Keyring{
		store: store, master: master, policy: p, now: now,
		good: otter.Must(&otter.Options[question, goodToken]{MaximumSize: remembered}),
	}
	k.held.Store(&snapshot{})
	return k
}

// snapshot is the rings as last read. It holds the schedule, so a rotation
// needs no new one.
type snapshot struct {
	// number tells one from another: it grows when anything changes.
	number  uint64
	records []Record
	// verifying holds the keys that verify, by ring.
	verifying map[Ring]KeySet
	// hints holds those that verify hints: the keys of the ring Tokens, and longer.
	hints KeySet
	// signing holds the keys that sign, will or did, by ring, in order: after a
	// step back of the clock it is one that did.
	signing map[Ring][]*signingKey
	// jwks is rebuilt when a key in it is gone.
	jwks atomic.Pointer[jwksDocument]
}

type signingKey struct {
	kid     string
	from    time.Time
	private *rsa.PrivateKey
	// signers by typ: the headers differ.
	signers sync.Map
}

// Reload reads the rings. A private key that the master key does not open is
// ErrMasterKey; what was read is in effect all the same, so that a withdrawal
// is, and that key does not sign.
func (k *Keyring) Reload(ctx context.Context) error {
	// One at a time, or what was read first could be held last.
	k.reloading.Lock()
	defer k.reloading.Unlock()
	records, err := k.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	next := &snapshot{records: records, verifying: map[Ring]KeySet{}, signing: map[Ring][]*signingKey{}, hints: newKeySet()}
	before := k.held.Load()
	next.number = before.number + 1
	var sealed error
	for _, s := range statuses(records, k.policy, k.now()) {
		if s.State == Withdrawn {
			continue
		}
		public, err := parsePublic(s.record)
		if err != nil {
			return err
		}
		set, ok := next.verifying[s.Ring]
		if !ok {
			set = newKeySet()
			next.verifying[s.Ring] = set
		}
		set.keys[s.KID] = verificationKey{public, s.GoneAt}
		if s.Ring == Tokens {
			next.hints.keys[s.KID] = verificationKey{public, s.forgottenAt}
		}
		if k.master == nil || s.record.Sealed == nil || s.State == Gone {
			continue
		}
		sk := before.signer(s.Ring, s.KID)
		if sk == nil || !sk.from.Equal(s.SignsFrom) {
			if sk, err = k.unseal(s.record); err != nil {
				sealed = errors.Join(sealed, err)
				continue
			}
		}
		next.signing[s.Ring] = append(next.signing[s.Ring], sk)
	}
	for _, list := range next.signing {
		slices.SortFunc(list, func(a, b *signingKey) int { return a.from.Compare(b.from) })
	}
	// Strangers can have this called, by tokens whose key nobody knows. They are
	// not to take away what is known of good tokens, or the key set as written.
	if !before.same(next) {
		k.held.Store(next)
	}
	return sealed
}

// same reports whether two snapshots verify and sign alike: what verifies follows
// from the records.
func (s *snapshot) same(other *snapshot) bool {
	return slices.EqualFunc(s.records, other.records, Record.equal) && maps.EqualFunc(s.signing, other.signing, slices.Equal)
}

func (s *snapshot) signer(ring Ring, kid string) *signingKey {
	for _, sk := range s.signing[ring] {
		if sk.kid == kid {
			return sk
		}
	}
	return nil
}

func (k *Keyring) unseal(r Record) (*signingKey, error) {
	der, err := k.master.Open(r.Ring, r.KID, r.Sealed)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	private, ok := key.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("the private half of signing key %s cannot be read", r.KID)
	}
	return &signingKey{kid: r.KID, from: r.SignsFrom, private: private}, nil
}

func parsePublic(r Record) (*rsa.PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(r.Public)
	public, ok := key.(*rsa.PublicKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("the public half of signing key %s cannot be read", r.KID)
	}
	return public, nil
}

// Sign returns claims, which are JSON, as a JWS in compact serialisation (RFC
// 7515 section 7.1), signed with RS256 by the key of the ring that signs now.
func (k *Keyring) Sign(ring Ring, typ string, claims []byte) (string, error) {
	sk, err := k.signing(ring)
	if err != nil {
		return "", err
	}
	return sk.sign(typ, claims)
}

// SignsNow returns the kid of the key of the ring that signs now.
func (k *Keyring) SignsNow(ring Ring) (kid string, err error) {
	sk, err := k.signing(ring)
	if err != nil {
		return "", err
	}
	return sk.kid, nil
}

// SignWith is Sign with the key that has this kid. RS256 is deterministic: what was
// signed once can be signed again, byte for byte. It fails if the key was withdrawn, or
// its private half is gone.
func (k *Keyring) SignWith(ring Ring, kid, typ string, claims []byte) (string, error) {
	sk := k.held.Load().signer(ring, kid)
	if sk == nil {
		return "", fmt.Errorf("%w: %s", errNoSigningKey, kid)
	}
	return sk.sign(typ, claims)
}

// CanSign reports whether SignWith can sign with a key.
func (k *Keyring) CanSign(ring Ring, kid string) bool { return k.held.Load().signer(ring, kid) != nil }

func (k *Keyring) signing(ring Ring) (*signingKey, error) {
	list := k.held.Load().signing[ring]
	now := k.now()
	for i, sk := range slices.Backward(list) {
		// Where the first has yet to begin, another process's clock, which is
		// ahead, withdrew the one before it: all know this one, so it signs.
		if i == 0 || !now.Before(sk.from) {
			return sk, nil
		}
	}
	return nil, fmt.Errorf("%w: %s", errNoSigningKey, ring)
}

func (sk *signingKey) sign(typ string, claims []byte) (string, error) {
	signer, ok := sk.signers.Load(typ)
	if !ok {
		made, err := jose.NewSigner(
			jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: sk.private, KeyID: sk.kid}},
			(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
		if err != nil {
			return "", fmt.Errorf("sign: %w", err)
		}
		signer, _ = sk.signers.LoadOrStore(typ, made)
	}
	jws, err := signer.(jose.Signer).Sign(claims)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return jws.CompactSerialize()
}

// Verify checks a token that a key of the ring is to have signed, with that
// `typ`. What is refused is ErrInvalidToken.
//
// A resource server asks about one token again and again while it lives, so
// tokens that were found good are remembered: by their hash, since memory may
// be dumped, and only for the keys as last read, so that nothing outlives a
// withdrawal. Bad ones are not: whoever sends them could fill the memory.
func (k *Keyring) Verify(ring Ring, token, typ string) (Verified, error) {
	held, now := k.held.Load(), k.now()
	if len(token) > MaxTokenLength {
		return Verified{}, errTooLong
	}
	asked := question{ring, typ, sha256.Sum256([]byte(token))}
	if known, ok := k.good.GetIfPresent(asked); ok && known.held == held.number && known.key.live(now) {
		return known.verified, nil
	}
	v, err := held.verifying[ring].verify(token, typ, now)
	if err == nil {
		k.good.Set(asked, goodToken{held.number, held.verifying[ring].keys[v.KID], v})
	}
	return v, err
}

// VerifyHint checks a token of the ring Tokens that gives nothing and only tells
// of something, such as an ID token that comes back at sign-out: it may have
// expired long ago, and its key may be gone. A withdrawn key checks nothing here
// either. What is refused is ErrInvalidToken.
func (k *Keyring) VerifyHint(token, typ string) (Verified, error) {
	if len(token) > MaxTokenLength {
		return Verified{}, errTooLong
	}
	return k.held.Load().hints.verify(token, typ, k.now())
}

// question is what Verify is asked.
type question struct {
	ring Ring
	typ  string
	hash [sha256.Size]byte
}

// goodToken is a token that was found good.
type goodToken struct {
	held     uint64
	key      verificationKey
	verified Verified
}

// remembered bounds the memory for tokens that were found good, of about 1 KB
// each.
const remembered = 8192

// List returns all keys with their states, by ring and in the order in which
// they sign.
func (k *Keyring) List() []Status {
	all := statuses(k.held.Load().records, k.policy, k.now())
	return append(ringOf(all, Refresh).all, ringOf(all, Tokens).all...)
}
