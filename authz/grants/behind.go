package grants

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/tokens"
)

// The bounds of reading a grant again that is behind its token. A token can be used at
// another server than the one that issued it, a moment later; and that one's database,
// a node of a cluster, may have got less of the commits. Only tokens that this issuer
// signed a moment ago are worth it, and only so many at once: each holds a request.
const (
	readAgainYoung = time.Minute
	readAgainFirst = 15 * time.Millisecond
	readAgainLast  = 240 * time.Millisecond // each pause is twice the one before; 465 ms altogether
	readAgainMost  = 64
)

// readingAgain has a place for each request that reads a grant again.
var readingAgain = make(chan struct{}, readAgainMost)

// read reads the grant of a token. One that is newer than the row, or whose row is not
// there (yet), is read again for a short time.
func (h *refreshToken) read(ctx context.Context, token tokens.Refresh) (Standing, error) {
	g, err := h.Store.Grant(ctx, token.GrantID)
	behind := func() bool { return errors.Is(err, ErrNotFound) || err == nil && unknown(token, g) }
	if !behind() || h.Now().Sub(token.IssuedAt) > readAgainYoung {
		return g, err
	}
	select {
	case readingAgain <- struct{}{}:
		defer func() { <-readingAgain }()
	default:
		return g, err
	}
	for pause := readAgainFirst; pause <= readAgainLast && behind(); pause *= 2 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			// Nothing is known of the token.
			return Standing{}, ctx.Err()
		}
		g, err = h.Store.Grant(ctx, token.GrantID)
	}
	return g, err
}
