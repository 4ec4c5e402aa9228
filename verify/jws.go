package verify

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// maxTokenLength bounds the work that a stranger's token can cause.
const maxTokenLength = 16 << 10

// header is what a signed object says of itself. What is not named here is
// ignored, as RFC 7515 section 4 has it.
type header struct {
	Algorithm string `json:"alg"`
	Type      string `json:"typ"`
	KeyID     string `json:"kid"`

	// Whoever makes a token up would like to bring its key along, or have it
	// fetched from where they put it (RFC 8725 sections 3.10 and 2.10); crit
	// says that it means something else than it looks like.
	JWK  json.RawMessage `json:"jwk"`
	JKU  json.RawMessage `json:"jku"`
	X5C  json.RawMessage `json:"x5c"`
	X5U  json.RawMessage `json:"x5u"`
	Crit json.RawMessage `json:"crit"`
}

// opened checks the signature of a JWS of one of these types, in its compact form, and
// returns what was signed. Nothing of it is looked at before, but the header.
func (v *Verifier) opened(ctx context.Context, signed string, types ...string) ([]byte, error) {
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
	switch {
	case h.Algorithm != v.cfg.Algorithm:
		return nil, invalid(byHeader, "it is not signed with "+v.cfg.Algorithm)
	case !slices.ContainsFunc(types, func(typ string) bool { return isType(h.Type, typ) }):
		// typ keeps an ID token, or a status list, from being used as an
		// access token (RFC 8725 section 3.11).
		return nil, invalid(byHeader, "its type is not "+types[0])
	case h.JWK != nil || h.JKU != nil || h.X5C != nil || h.X5U != nil || h.Crit != nil:
		return nil, invalid(byHeader, "its header has a field that is not accepted")
	}
	key, err := v.key(ctx, h.KeyID)
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(signed, v.algorithms)
	if err != nil {
		return nil, invalid(byForm, "it is not a JWS")
	}
	payload, err := jws.Verify(key)
	if err != nil {
		return nil, invalid(bySignature, "its signature is wrong")
	}
	return payload, nil
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

// canonical reports whether s is base64url as an encoder writes it. The unused
// bits of the last character give a signature up to sixteen spellings, and Go's
// decoder skips CR and LF: whoever keeps a list of tokens by their bytes would
// be fooled by the others.
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
