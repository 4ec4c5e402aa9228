package tokens

import (
	"errors"
	"fmt"

	"github.com/ingam/ingam/keys"
)

// SharedKID returns the kid of a token that says that it was signed with a secret which the
// server shares with an API. Nothing is verified.
func SharedKID(token string) (kid string, ok bool) { return keys.SharedKID(token) }

// ReadShared is ReadAccess for a token that was signed with a secret which the server
// shares with the API of that audience. The API can make such tokens, too: what they say is
// good for answering that API, and nobody else. Returns ErrInvalid.
func (i *Issuer) ReadShared(token string, secret keys.SharedSecret, audience string) (Access, error) {
	typ := AccessTypeOf(token)
	v, err := i.keys.VerifyShared(secret, token, typ)
	if errors.Is(err, keys.ErrInvalidToken) {
		return Access{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err != nil {
		return Access{}, err
	}
	a, err := i.access(v, typ)
	if err != nil {
		return Access{}, err
	}
	a.Alg = string(keys.HS256)
	if len(a.Audience) != 1 || a.Audience[0] != audience {
		return Access{}, fmt.Errorf("%w: for another API", ErrInvalid)
	}
	if a.GrantID == "" && a.Subject != a.ClientID {
		return Access{}, fmt.Errorf("%w: it names a user, and no grant", ErrInvalid)
	}
	return a, nil
}
