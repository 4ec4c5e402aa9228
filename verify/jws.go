package verify

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// maxTokenLength bounds a token, so that a stranger's cannot cause much work.
const maxTokenLength = 16 << 10

// header is the protected header of a token or status list. Fields that are not named
// here are ignored (RFC 7515 section 4).
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`

	// A header with one of these is refused. With the first four, an attacker could
	// have a forged token checked by a key of their own, which it brings along or
	// has fetched from an address of theirs (RFC 8725 sections 3.10 and 2.10). crit
	// names extensions that a verifier must understand; this one knows none.
	JWK  json.RawMessage `json:"jwk"`
	JKU  json.RawMessage `json:"jku"`
	X5C  json.RawMessage `json:"x5c"`
	X5U  json.RawMessage `json:"x5u"`
	Crit json.RawMessage `json:"crit"`
}

// opened checks the signature of a compact JWS that has one of these types, by the
// algorithm of its key, and returns the payload. If narrow is set, that must be the
// algorithm. secrets are what is shared with the issuer, where HS256 is accepted. It reads
// nothing but the header before the signature is good.
func (v *Verifier) opened(ctx context.Context, signed, narrow string, secrets [][]byte, types ...string) ([]byte, error) {
	first, rest, _ := strings.Cut(signed, ".")
	second, third, ok := strings.Cut(rest, ".")
	if !ok || strings.Contains(third, ".") {
		return nil, invalid(byForm, "it does not have three parts")
	}
	for _, part := range [...]string{first, second, third} {
		if !canonical(part) {
			return nil, invalid(byForm, "it is not base64url in its one spelling")
		}
	}
	var h header
	if raw, err := base64.RawURLEncoding.DecodeString(first); err != nil || json.Unmarshal(raw, &h) != nil {
		return nil, invalid(byForm, "its header cannot be read")
	}
	shared := len(secrets) > 0 && h.Algorithm == string(jose.HS256)
	switch {
	case narrow != "" && h.Algorithm != narrow:
		return nil, invalid(byHeader, "it is not signed with "+narrow)
	case !shared && !slices.Contains(algorithms, jose.SignatureAlgorithm(h.Algorithm)):
		// Such as none, or HS256 with a public key as the secret (RFC 8725 section 2.1).
		return nil, invalid(byHeader, "it is not signed with an algorithm that is accepted")
	case !slices.ContainsFunc(types, func(typ string) bool { return isType(h.Type, typ) }):
		// typ keeps an ID token, or a status list, from being used as an
		// access token (RFC 8725 section 3.11).
		return nil, invalid(byHeader, "its type is not "+types[0])
	case h.JWK != nil || h.JKU != nil || h.X5C != nil || h.X5U != nil || h.Crit != nil:
		return nil, invalid(byHeader, "its header has a field that is not accepted")
	}
	if shared {
		return openedBy(secrets, signed)
	}
	key, err := v.key(ctx, h.KeyID)
	if err != nil {
		return nil, err
	}
	if h.Algorithm != key.algorithm {
		return nil, invalid(byHeader, "it is not signed with the algorithm of its key")
	}
	jws, err := jose.ParseSignedCompact(signed, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(key.algorithm)})
	if err != nil {
		return nil, invalid(byForm, "it is not a JWS")
	}
	payload, err := jws.Verify(key.key)
	if err != nil || !saltFits(key, signed, jws.Signatures[0].Signature) {
		return nil, invalid(bySignature, "its signature is wrong")
	}
	return payload, nil
}

// saltFits reports whether an RSASSA-PSS signature has a salt as long as the hash, as RFC
// 7518 section 3.5 requires; any other signature fits. The library takes a salt of any
// length, so that one text would have many good signatures.
func saltFits(key publicKey, signed string, signature []byte) bool {
	hash, ok := map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}[key.algorithm]
	if !ok {
		return true
	}
	public, ok := key.key.(*rsa.PublicKey)
	h := hash.New()
	h.Write([]byte(signed[:strings.LastIndexByte(signed, '.')]))
	return ok && rsa.VerifyPSS(public, hash, h.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

// isType compares media types as RFC 7515 section 4.1.9 has it: in any case,
// with or without application/.
func isType(got, want string) bool {
	const prefix = "application/"
	if len(got) > len(prefix) && strings.EqualFold(got[:len(prefix)], prefix) {
		got = got[len(prefix):]
	}
	return strings.EqualFold(got, want)
}

// canonical reports whether s is base64url exactly as an encoder writes it. A decoder
// ignores the unused bits of the last character, and Go's skips CR and LF, so that one
// signature has many spellings. If they were accepted, the same token could be used in
// another spelling to get past an application that blocks tokens by their bytes. (With ECDSA
// it can all the same: if (r, s) is a good signature, so is (r, n-s), and signers write
// either. Token.ID is the same for both.)
func canonical(s string) bool {
	for i := range len(s) {
		if digit(s[i]) < 0 {
			return false
		}
	}
	switch len(s) % 4 {
	case 1:
		return false
	case 2:
		return digit(s[len(s)-1])&0xf == 0
	case 3:
		return digit(s[len(s)-1])&0x3 == 0
	}
	return true
}

// digit is the value of a base64url character, or -1.
func digit(c byte) int {
	switch {
	case 'A' <= c && c <= 'Z':
		return int(c - 'A')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 26
	case '0' <= c && c <= '9':
		return int(c-'0') + 52
	case c == '-':
		return 62
	case c == '_':
		return 63
	}
	return -1
}
