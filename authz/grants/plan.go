package grants

import (
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// step is what becomes of a refresh token that is presented.
type step string

const (
	// rotate is to store the next generation, and hand it out.
	rotate step = "rotate"
	// repeat is to hand out the current generation, which follows the presented one:
	// its answer was lost, or another request was faster.
	repeat step = "repeat"
	// rest is to hand out the presented token again.
	rest step = "rest"
	// refuse is to issue nothing.
	refuse step = "refuse"
)

// plan is a step and, for refuse, why. ReasonReused is more than a refusal: the
// grant is revoked.
type plan struct {
	step   step
	reason protocol.Reason
}

// facts are what a plan follows from.
type facts struct {
	token tokens.Refresh
	// grant is that of the token. It stands, has not expired and is its client's.
	grant Standing
	// grace is for how long a token may be used again after it was replaced; 0 is
	// not at all.
	grace time.Duration
	// shared is whether all tabs of a browser use the token together.
	shared bool
	// signs is whether the key of the grant's current token can sign that again.
	signs bool
	// moved is whether the grant gets another index in a status list.
	moved bool
	// lost is whether this request, which had found its token current, was to rotate
	// it and another one was faster.
	lost bool
	now  time.Time
}

// planOf says what is to be done. It changes nothing, and is asked again when the
// facts have changed.
//
//	generation of the token:
//	  current            → rotate; what tabs share rests for the grace
//	  the one before     → within the grace: repeat
//	  older              → reuse, by its owner or a thief, and there is no telling which
//	  newer than the row → the database was restored: refused, and nothing is revoked
//	whoever lost a race had found its token current: it repeats, or is refused, and is
//	never taken for a thief
func planOf(f facts) plan {
	behind := f.grant.Refresh.Generation - f.token.Generation
	again := f.grace > 0 && f.grant.Age <= f.grace
	switch {
	case f.lost && (behind != 1 || f.grace == 0):
		return plan{refuse, protocol.ReasonOvertaken}
	case !f.lost && unknown(f.token, f.grant):
		return plan{refuse, protocol.ReasonAhead}
	case behind == 0 && again && f.shared && f.rests():
		return plan{step: rest}
	case behind == 0:
		return plan{step: rotate}
	case behind == 1 && (again || f.lost) && f.signs:
		return plan{step: repeat}
	case behind == 1 && (again || f.lost):
		return plan{step: rotate} // the successor's key was withdrawn, and it with it
	}
	return plan{refuse, protocol.ReasonReused}
}

// rests reports whether the current refresh token may stay as it is for now: all tabs
// of a browser share a cookie, and send it when they want to. Of three at once the
// first rotates; if the second, which has the new cookie already, did so too, the
// third would come with one that was replaced twice, which looks like a thief's.
func (f facts) rests() bool {
	// It does not expire under a browser that is used: the grace may be longer.
	left, life := f.grant.Refresh.ExpiresAt.Sub(f.now), f.grant.Refresh.ExpiresAt.Sub(f.grant.Refresh.IssuedAt)
	return f.token.Generation > 1 && left > life/2 && f.signs && !f.moved
}

// unknown reports whether a token is one that its grant's row does not know of,
// though this server signed it.
func unknown(token tokens.Refresh, g Standing) bool {
	behind := g.Refresh.Generation - token.Generation
	return behind < 0 || behind == 0 && (!token.IssuedAt.Equal(g.Refresh.IssuedAt) || token.KeyID != g.Refresh.KeyID)
}

// facts returns what is known of a token and its grant.
func (h *refreshToken) facts(token tokens.Refresh, g Standing, client *clients.Client) facts {
	grace := h.Lives.Grace
	if client.RefreshGrace != nil {
		grace = *client.RefreshGrace
	}
	return facts{
		token: token, grant: g, grace: grace, shared: client.Hold == clients.HoldCookie,
		signs: h.Issuer.SignsRefresh(g.Refresh.KeyID), now: h.Now(),
	}
}
