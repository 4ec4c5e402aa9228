package tokens

import (
	"encoding/json"
	"fmt"

	"github.com/ingam/ingam/keys"
)

// IntrospectionType is the `typ` of an answer to an introspection request that is a JWT
// (RFC 9701 section 5). With it, and without `sub` and `exp`, which stand further inside, it
// passes for no token.
const IntrospectionType = "token-introspection+jwt"

// SignIntrospection returns an answer to an introspection request as a JWT that is for the
// client which asked.
func (i *Issuer) SignIntrospection(caller string, answer any) (string, error) {
	claims, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Audience string `json:"aud"`
		IssuedAt int64  `json:"iat"`
		Answer   any    `json:"token_introspection"`
	}{i.url, caller, i.now().Unix(), answer})
	if err != nil {
		return "", fmt.Errorf("write the claims: %w", err)
	}
	return i.keys.Sign(keys.Tokens, IntrospectionType, claims)
}
