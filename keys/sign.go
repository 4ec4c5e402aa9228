package keys

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// Sign returns claims, which are JSON, as a JWS in compact serialisation (RFC
// 7515 section 7.1), signed by the key of the ring that signs now.
func (k *Keyring) Sign(ring Ring, typ string, claims []byte) (string, error) {
	sk, err := k.signing(ring)
	if err != nil {
		return "", err
	}
	return sk.sign(typ, claims)
}

// SignWith is Sign with the key that has this kid. RS256 is deterministic: what was
// signed once can be signed again, byte for byte. It fails if the key was withdrawn, or
// its private half is gone.
func (k *Keyring) SignWith(ring Ring, kid, typ string, claims []byte) (string, error) {
	held := k.held.Load()
	sk := held.signer(ring, kid)
	if sk == nil {
		return "", fmt.Errorf("%w: %s", ErrNoSigningKey, kid)
	}
	token, err := sk.sign(typ, claims)
	if key, ok := held.verifying[ring.purpose()].keys[kid]; ok && err == nil && ring == Refresh {
		// A refresh token comes back to this server, once, and it needs no proof then of
		// what was signed here. Other tokens may never come back: they would only take the
		// place of those that do.
		k.good.Set(questionOf(ring, token, typ), goodToken{held.number, key, Verified{kid, claims}})
	}
	return token, err
}

func (sk *signingKey) sign(typ string, claims []byte) (string, error) {
	header, ok := sk.headers.Load(typ)
	if !ok {
		header, _ = sk.headers.LoadOrStore(typ, headerOf(sk.by, sk.kid, typ))
	}
	return compact(header.(header64), claims, sk.signature)
}

// header64 is a header (RFC 7515 section 4) as a token begins with it: in base64url, and
// with the dot.
type header64 []byte

func headerOf(by Algorithm, kid, typ string) header64 {
	// In this order: a refresh token that is made a second time, by whichever version, has
	// the same bytes.
	header, err := json.Marshal(struct {
		Algorithm Algorithm `json:"alg"`
		KeyID     string    `json:"kid,omitempty"`
		Type      string    `json:"typ,omitempty"`
	}{by, kid, typ})
	if err != nil {
		panic(err) // three texts are always JSON
	}
	return append(base64.RawURLEncoding.AppendEncode(nil, header), '.')
}

// longSignature is the room for a signature: that of RSA with 2048 bits, in base64url.
const longSignature = 342

// compact writes a JWS. sign gets what is to be signed (RFC 7515 section 5.1).
func compact(header header64, claims []byte, sign func(input []byte) ([]byte, error)) (string, error) {
	coding := base64.RawURLEncoding
	token := make([]byte, 0, len(header)+coding.EncodedLen(len(claims))+len(".")+longSignature)
	token = coding.AppendEncode(append(token, header...), claims)
	signature, err := sign(token)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return string(coding.AppendEncode(append(token, '.'), signature)), nil
}

// signature signs by the algorithm of the key (RFC 7518 section 3, RFC 8037 section 3.1).
func (sk *signingKey) signature(input []byte) ([]byte, error) {
	if sk.by == EdDSA { // which hashes by itself
		return sk.private.Sign(nil, input, crypto.Hash(0))
	}
	digest := sha256.Sum256(input)
	switch sk.by {
	case RS256:
		return sk.private.Sign(nil, digest[:], crypto.SHA256)
	case PS256:
		return sk.private.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case ES256:
		der, err := sk.private.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return fixedLength(der)
	}
	return nil, fmt.Errorf("keys for %s sign nothing", sk.by)
}

// fixedLength writes the two numbers of a signature by ES256 as JWS has them: each as long
// as the curve's (RFC 7518 section 3.4).
func fixedLength(der []byte) ([]byte, error) {
	var numbers struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &numbers); err != nil {
		return nil, err
	}
	fixed := make([]byte, 64)
	numbers.R.FillBytes(fixed[:32])
	numbers.S.FillBytes(fixed[32:])
	return fixed, nil
}

// mac signs by HS256 (RFC 7518 section 3.2).
func mac(secret []byte) func(input []byte) ([]byte, error) {
	return func(input []byte) ([]byte, error) {
		h := hmac.New(sha256.New, secret)
		h.Write(input)
		return h.Sum(nil), nil
	}
}
