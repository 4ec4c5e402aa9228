package keys

import (
	"fmt"
	"slices"
	"strings"
)

// Algorithm is a signature algorithm, by its name in a JWS header (RFC 7518 section 3.1,
// RFC 8037 section 3.1).
type Algorithm string

// The algorithms that keys can have.
const (
	// RS256 is RSASSA-PKCS1-v1_5. Every library has it, and it is the default.
	RS256 Algorithm = "RS256"
	// PS256 is RSASSA-PSS, with a salt of 32 bytes.
	PS256 Algorithm = "PS256"
	// ES256 is ECDSA with the curve P-256.
	ES256 Algorithm = "ES256"
	// EdDSA is Ed25519.
	EdDSA Algorithm = "EdDSA"
	// A256GCM is AES-256-GCM. It signs nothing: keys of the ring Seals are for it.
	A256GCM Algorithm = "A256GCM"
)

// Algorithms returns those that sign, the default first.
func Algorithms() []Algorithm { return []Algorithm{RS256, PS256, ES256, EdDSA} }

// Ring names a set of keys that follow each other: what they sign, and by which
// algorithm. Rings never mix: a token signed by one purpose's key is not a token of the
// other, whatever its claims say.
type Ring string

const (
	// Tokens signs what anyone may check, access and ID tokens, with RS256. Its public
	// keys are in the JWKS.
	Tokens Ring = "tokens"
	// Refresh signs what only this server reads. Its keys are published nowhere, so no
	// resource server can take a refresh token for an access token, whatever it forgets
	// to check. Its algorithm is always RS256: a repeated refresh must return the same
	// bytes, and only a deterministic signature does. (EdDSA would be deterministic too,
	// but the tokens of before are signed with RS256, and nobody but this server checks
	// them.)
	Refresh Ring = "refresh"
	// Seals encrypts what this server alone is to read later in a token that it cannot
	// decrypt (see Keyring.Seal). Its keys are symmetric, so there is nothing to publish.
	// The ring is made when an API first asks for encryption.
	Seals Ring = "seal"
	// Audit signs the heads of the audit log's chain, with EdDSA. Its public keys are not in
	// the JWKS, since it signs no tokens: they go along with an export of the log. The ring is
	// made when there is first something to sign.
	Audit Ring = "audit"
)

// TokensBy returns the ring whose keys sign access and ID tokens by an algorithm. Its keys
// are in the same JWKS as those of Tokens, which is the ring for RS256.
func TokensBy(a Algorithm) Ring {
	if a == RS256 || a == "" {
		return Tokens
	}
	return Tokens + "/" + Ring(a)
}

// Algorithm returns the algorithm of a ring's keys.
func (r Ring) Algorithm() Algorithm {
	switch r {
	case Seals:
		return A256GCM
	case Audit:
		return EdDSA
	}
	if _, algorithm, ok := strings.Cut(string(r), "/"); ok {
		return Algorithm(algorithm)
	}
	return RS256
}

// purpose returns Tokens for each ring that signs access and ID tokens, else the ring.
func (r Ring) purpose() Ring {
	first, _, _ := strings.Cut(string(r), "/")
	return Ring(first)
}

// published reports whether the public keys of a ring are in the JWKS.
func (r Ring) published() bool { return r.purpose() == Tokens }

// Rings returns every ring that there can be. The first two always have keys; the others
// from when an API or a client first asks for them (see Keyring.Ensure).
func Rings() []Ring {
	rings := []Ring{Refresh, Tokens}
	for _, a := range Algorithms()[1:] {
		rings = append(rings, TokensBy(a))
	}
	return append(rings, Seals, Audit)
}

// MarshalText implements encoding.TextMarshaler: a ring is named as it is stored.
func (r Ring) MarshalText() ([]byte, error) { return []byte(r), nil }

// UnmarshalText implements encoding.TextUnmarshaler. For a name that no ring has, the
// error says which rings there can be.
func (r *Ring) UnmarshalText(name []byte) error {
	if named := Ring(name); slices.Contains(Rings(), named) {
		*r = named
		return nil
	}
	return fmt.Errorf("there is no ring %q; there can be %v", name, Rings())
}
