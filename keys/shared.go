package keys

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// HS256 is HMAC with SHA-256 and a secret that the server shares with one API. There is no
// ring for it: what it signs proves something to that API alone, because the API could sign
// it as well.
const HS256 Algorithm = "HS256"

// sharedBytes is the length of a shared secret: as long as the hash (RFC 7518 section 3.2).
const sharedBytes = 32

// SharedSecret is a secret that the server shares with one API, as it is stored.
type SharedSecret struct {
	// API is the id of the API, and KID that of the secret. What is sealed for these does
	// not open for others.
	API, KID string
	// Sealed is the secret, encrypted under the master key.
	Sealed []byte
}

// String returns the kid.
func (s SharedSecret) String() string { return s.KID }

// ring is what the secret is sealed for, instead of a ring of keys.
func (s SharedSecret) ring() Ring { return "shared/" + Ring(s.API) }

// Share makes a secret for an API. It returns the secret as it is to be stored, and in
// base64url, as the API is to have it. The second one is kept nowhere.
func (k *Keyring) Share(api string) (sealed SharedSecret, shown string, err error) {
	if k.master == nil {
		return SharedSecret{}, "", fmt.Errorf("%w: none was given, and a new secret must be sealed", ErrMasterKey)
	}
	secret := make([]byte, sharedBytes)
	rand.Read(secret) // never fails
	s := SharedSecret{API: api, KID: rand.Text()}
	if s.Sealed, err = k.master.Seal(s.ring(), s.KID, secret); err != nil {
		return SharedSecret{}, "", fmt.Errorf("seal a shared secret: %w", err)
	}
	return s, base64.RawURLEncoding.EncodeToString(secret), nil
}

// Reshare seals a secret anew, under the newest key of the master key file.
func (k *Keyring) Reshare(s SharedSecret) (SharedSecret, error) {
	secret, err := k.openShared(s)
	if err == nil {
		s.Sealed, err = k.master.Seal(s.ring(), s.KID, secret)
	}
	return s, err
}

// openShared returns the secret itself. It is opened for each token, which takes far less
// time than the rest of a request: so no copy of it has to be kept in memory, and followed.
func (k *Keyring) openShared(s SharedSecret) ([]byte, error) {
	if k.master == nil {
		return nil, fmt.Errorf("%w: none was given to open a shared secret with", ErrMasterKey)
	}
	if s.KID == "" {
		return nil, fmt.Errorf("%w: the API has no secret that signs", ErrNoSigningKey)
	}
	secret, err := k.master.Open(s.ring(), s.KID, s.Sealed)
	if err != nil {
		return nil, err
	}
	if len(secret) != sharedBytes {
		return nil, fmt.Errorf("the shared secret %s cannot be read", s.KID)
	}
	return secret, nil
}

// SignShared is Sign with a shared secret.
func (k *Keyring) SignShared(s SharedSecret, typ string, claims []byte) (string, error) {
	secret, err := k.openShared(s)
	if err != nil {
		return "", err
	}
	return compact(headerOf(HS256, s.KID, typ), claims, mac(secret))
}

// VerifyShared checks that a token was signed with that secret, by HS256 and under its kid,
// and that its `typ` is this one. If not, the error is ErrInvalidToken. It proves nothing
// to anybody but the server and the API: either may have signed the token.
func (k *Keyring) VerifyShared(s SharedSecret, token, typ string) (Verified, error) {
	if len(token) > MaxTokenLength {
		return Verified{}, errTooLong
	}
	secret, err := k.openShared(s)
	if err != nil {
		return Verified{}, err
	}
	jws, err := parse(token, typ, jose.HS256)
	if err != nil {
		return Verified{}, err
	}
	return s.check(jws, secret)
}

// check checks that the secret signed.
func (s SharedSecret) check(jws *jose.JSONWebSignature, secret []byte) (Verified, error) {
	if jws.Signatures[0].Protected.KeyID != s.KID {
		return Verified{}, fmt.Errorf("%w: its kid is that of another secret", ErrInvalidToken)
	}
	payload, err := jws.Verify(secret)
	if err != nil {
		return Verified{}, fmt.Errorf("%w: its signature is wrong", ErrInvalidToken)
	}
	return Verified{s.KID, payload}, nil
}

// sharedBeginning is how a token with HS256 begins: as headerOf writes it, up to the comma.
// These 15 bytes are 20 characters in base64url, whatever follows.
var sharedBeginning = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256",`))

// SharedKID returns the kid in the header of a token that was made here, and says that it
// was signed by HS256. Nothing is verified. For all other tokens, which are most of those
// that come to be introspected, it reads no JSON.
func SharedKID(token string) (kid string, ok bool) {
	if len(token) > MaxTokenLength || !strings.HasPrefix(token, sharedBeginning) {
		return "", false
	}
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256})
	if err != nil {
		return "", false
	}
	return jws.Signatures[0].Protected.KeyID, true
}
