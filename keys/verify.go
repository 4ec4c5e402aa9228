package keys

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"
)

// ErrInvalidToken: not a token that a key of the set has signed. The error
// says why and never repeats the token.
var ErrInvalidToken = errors.New("not a valid token")

// ErrUnknownKey: an ErrInvalidToken, because its kid is of no key of the set.
var ErrUnknownKey = fmt.Errorf("%w: no key of the set has its kid", ErrInvalidToken)

var errTooLong = fmt.Errorf("%w: it is too long", ErrInvalidToken)

// MaxTokenLength bounds the work that a stranger's token can cause.
const MaxTokenLength = 16 << 10

// Verified is what a good signature, or what was sealed, stands for.
type Verified struct {
	KID string
	// Payload is what was signed or sealed, byte for byte.
	Payload []byte
}

// ReadHeader reads the header of a token into a struct, and reports whether it could.
// Nothing is verified. It takes the names of members exactly, and none twice, unlike
// encoding/json. Otherwise an encrypted token with `jti` and `JTI` would be one token here,
// and another one to its API, which compares the `jti` with the one inside.
func ReadHeader(token string, into any) bool {
	first, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	return err == nil && josejson.Unmarshal(b, into) == nil
}

// KeySet is public keys by kid.
type KeySet struct {
	keys map[string]verificationKey
	// headers are the headers of good tokens (each a header64 as a string, without the
	// dot), and what they say. A signer of ours writes only one for each key and typ, so
	// these are few, and none is parsed twice.
	headers *sync.Map
}

// headerSays is what a header says that parse has accepted.
type headerSays struct{ kid, typ string }

func newKeySet() KeySet { return KeySet{map[string]verificationKey{}, &sync.Map{}} }

type verificationKey struct {
	public crypto.PublicKey
	// by is the only algorithm by which the key verifies.
	by Algorithm
	// until is when the key verifies no more; zero if that is not known.
	until time.Time
}

func (k verificationKey) live(now time.Time) bool { return k.until.IsZero() || now.Before(k.until) }

// ParseJWKS reads a published key set (RFC 7517 section 5): its keys for signatures, each
// with the algorithm that the set names. An RSA key without one is for RS256.
func ParseJWKS(body []byte) (KeySet, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(body, &set); err != nil {
		return KeySet{}, errors.New("the key set cannot be read")
	}
	s := newKeySet()
	for _, k := range set.Keys {
		by := cmp.Or(Algorithm(k.Algorithm), RS256)
		if k.KeyID != "" && (k.Use == "" || k.Use == "sig") && fits(by, k.Key) {
			s.keys[k.KeyID] = verificationKey{public: k.Key, by: by}
		}
	}
	return s, nil
}

// Verify checks a token that a key of the set is to have signed, with that
// `typ`. What is refused is ErrInvalidToken. A status list is a token, too, of
// millions of bytes: so it is the caller who bounds the length, to MaxTokenLength
// for any other.
func (s KeySet) Verify(token, typ string) (Verified, error) {
	return s.verify(token, typ, time.Time{})
}

func (s KeySet) verify(token, typ string, now time.Time) (Verified, error) {
	if len(s.keys) == 0 {
		return Verified{}, ErrUnknownKey
	}
	header, _, _ := strings.Cut(token, ".")
	if known, ok := s.headers.Load(header); ok && known.(headerSays).typ == typ {
		return s.check(token, known.(headerSays).kid, now)
	}
	// None of these is `none`, or HS256 with the public key as its secret (RFC 8725
	// section 2.1). Which of them it must be says the key.
	jws, err := parse(token, typ, signatureAlgorithms...)
	if err != nil {
		return Verified{}, err
	}
	v, err := s.checkParsed(jws, token, now)
	if err == nil {
		s.headers.Store(header, headerSays{v.KID, typ})
	}
	return v, err
}

// checkParsed checks that the header names the algorithm of its key, and then the signature.
func (s KeySet) checkParsed(jws *jose.JSONWebSignature, token string, now time.Time) (Verified, error) {
	header := jws.Signatures[0].Protected
	if key, ok := s.keys[header.KeyID]; ok && key.live(now) && header.Algorithm != string(key.by) {
		return Verified{}, fmt.Errorf("%w: its algorithm is not that of its key", ErrInvalidToken)
	}
	return s.check(token, header.KeyID, now)
}

// check looks the key up, and never takes one that the token brings along. It takes the
// algorithm of that key alone.
func (s KeySet) check(token, kid string, now time.Time) (Verified, error) {
	key, ok := s.keys[kid]
	if !ok || !key.live(now) {
		return Verified{}, ErrUnknownKey
	}
	parts, err := split(token)
	if err != nil {
		return Verified{}, err
	}
	if !key.verifies([]byte(token[:strings.LastIndexByte(token, '.')]), parts[2]) {
		return Verified{}, fmt.Errorf("%w: its signature is wrong", ErrInvalidToken)
	}
	return Verified{kid, parts[1]}, nil
}

// verifies checks a signature by the algorithm of the key (RFC 7518 section 3, RFC 8037
// section 3.1).
func (k verificationKey) verifies(input, signature []byte) bool {
	digest := sha256.Sum256(input)
	switch key := k.public.(type) {
	case *rsa.PublicKey:
		if k.by == PS256 {
			// The salt is as long as the hash (section 3.5). With any length there would be
			// several signatures of one text, and a verifier that is strict would refuse
			// what this server accepts.
			return rsa.VerifyPSS(key, crypto.SHA256, digest[:], signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return k.by == RS256 && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature) == nil
	case *ecdsa.PublicKey:
		if k.by != ES256 || len(signature) != 64 { // section 3.4
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		return ecdsa.Verify(key, digest[:], r, s)
	case ed25519.PublicKey:
		return k.by == EdDSA && ed25519.Verify(key, input, signature)
	}
	return false
}

// parse takes nothing that a signer of ours would not have written: one serialisation, one
// of these algorithms, a header with nothing else in it, and one spelling of its bytes. It
// verifies nothing.
func parse(token, typ string, by ...jose.SignatureAlgorithm) (*jose.JSONWebSignature, error) {
	jws, err := parseAny(token, by...)
	if err != nil {
		return nil, err
	}
	header := jws.Signatures[0].Protected
	if header.JSONWebKey != nil || len(header.ExtraHeaders) != 1 || header.ExtraHeaders[jose.HeaderType] != typ {
		// typ keeps tokens for one purpose from being used for another (RFC
		// 8725 section 3.11); further fields are none of ours.
		return nil, fmt.Errorf("%w: its header is not that of such a token", ErrInvalidToken)
	}
	return jws, nil
}

// parseAny is parse with any header.
func parseAny(token string, by ...jose.SignatureAlgorithm) (*jose.JSONWebSignature, error) {
	if _, err := split(token); err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, by)
	if err != nil {
		return nil, fmt.Errorf("%w: it is not a JWS with an algorithm of this server", ErrInvalidToken)
	}
	return jws, nil
}

// split returns the three parts of a token, decoded.
func split(token string) (parts [3][]byte, err error) {
	texts := strings.SplitN(token, ".", 4)
	if len(texts) != 3 {
		return parts, fmt.Errorf("%w: it does not have three parts", ErrInvalidToken)
	}
	for i, text := range texts {
		// Base64 leaves some bits of its last character unused, so that one
		// signature has sixteen spellings; whoever keeps a list of tokens by
		// their bytes would be fooled by the other fifteen. CR and LF, which
		// Go's decoder skips, would make yet more. (An ES256 signature (r, s) stays
		// good as (r, n-s), which no verifier refuses: only the `jti` names a token.)
		if strings.ContainsAny(text, "\r\n") {
			return parts, fmt.Errorf("%w: it holds a line break", ErrInvalidToken)
		}
		if parts[i], err = base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
			return parts, fmt.Errorf("%w: it is not in its one spelling", ErrInvalidToken)
		}
	}
	return parts, nil
}

var signatureAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
