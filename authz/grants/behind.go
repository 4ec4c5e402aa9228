package grants

import (
	"context"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/protocol"
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

// errBehind is the answer about a token whose grant should be here, and is not.
var errBehind = protocol.Refuse(protocol.TemporarilyUnavailable, "The grant of the token is not known here yet. Try again.")

// read reads the grant of a token. One that is newer than the row, or whose row is not
// there (yet), is read again for a short time.
func (h *refreshToken) read(ctx context.Context, token tokens.Refresh) (g Standing, err error) {
	stopped := h.again(ctx, token.IssuedAt, func() (behind bool) {
		g, err = h.Store.Grant(ctx, token.GrantID)
		return errors.Is(err, ErrNotFound) || err == nil && unknown(token, g)
	})
	if stopped != nil {
		return Standing{}, stopped
	}
	return g, err
}

// WhenThere calls f, which does something with the grant of a token that was issued at
// that time, and calls it again for a short time while it returns ErrNotFound. If the
// grant of a token that was issued a moment ago is still not there, the request is to be
// sent again: whoever ends a grant must not be told that it has ended when its row has
// only not arrived yet, and a thief could go on with it.
func (p *Parts) WhenThere(ctx context.Context, issued time.Time, f func() error) (err error) {
	stopped := p.again(ctx, issued, func() (behind bool) {
		err = f()
		return errors.Is(err, ErrNotFound)
	})
	switch {
	case stopped != nil:
		return stopped
	case errors.Is(err, ErrNotFound) && p.young(issued):
		return errBehind
	}
	return err
}

// young reports whether a token was issued so short a time ago that this server's
// database may be behind it.
func (p *Parts) young(issued time.Time) bool { return p.Now().Sub(issued) <= readAgainYoung }

// again calls try, and again for a short time while that says that the database is
// behind a token that was issued at that time. An error says that nothing is known.
func (p *Parts) again(ctx context.Context, issued time.Time, try func() (behind bool)) error {
	behind := try()
	if !behind || !p.young(issued) {
		return nil
	}
	select {
	case readingAgain <- struct{}{}:
		defer func() { <-readingAgain }()
	default:
		return nil
	}
	for pause := readAgainFirst; pause <= readAgainLast && behind; pause *= 2 {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		behind = try()
	}
	return nil
}
