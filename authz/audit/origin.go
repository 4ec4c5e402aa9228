package audit

import (
	"context"
	"maps"
)

// Origin is where a change came from, besides who made it.
type Origin struct {
	// Address is that of the client or browser which sent the request, as far as trusted
	// proxies tell. Empty if it has none, as on a Unix socket.
	Address string
	// Token is the jti of the access token by which an administrator called, and Client the
	// client that the token was issued to.
	Token, Client string
}

type originKey struct{}

// With returns a context in which changes come from there. The events of changes in it say
// so, in their details.
func With(ctx context.Context, from *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, from)
}

// OriginOf returns where changes in a context come from. It is empty for what the server
// does by itself, and for commands.
func OriginOf(ctx context.Context) Origin {
	if from, ok := ctx.Value(originKey{}).(*Origin); ok {
		return *from
	}
	return Origin{}
}

// From returns the event with its origin in the details. What the server does by itself has
// no origin, even if a request was the occasion.
func (e Event) From(from Origin) Event {
	if e.Actor == Server || from == (Origin{}) {
		return e
	}
	details := make(map[string]string, len(e.Details)+3)
	maps.Copy(details, e.Details)
	set := func(name, value string) {
		if value != "" {
			details[name] = value
		}
	}
	set("address", from.Address)
	set("token", from.Token)
	set("token_client", from.Client)
	e.Details = details
	return e
}
