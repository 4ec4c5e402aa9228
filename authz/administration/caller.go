package administration

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/audit"
)

var (
	// ErrForbidden: the caller may not do this. The error says which scope they lack.
	ErrForbidden = errors.New("not allowed")
	// ErrStale: the record was changed since the caller read it.
	ErrStale = errors.New("it was changed meanwhile: read it again")
)

// Caller is who administers the server: by which name the audit log knows them, and what
// they may do at this moment.
type Caller struct {
	Actor  audit.Actor
	scopes []string
	// operator is whether it is who runs a command on the server's own machine.
	operator bool
	// token is the jti of the access token by which they call, and client whom that was
	// issued to; empty for an operator.
	token, client string
}

// Operator returns the caller who runs a command on the server's own machine. They may do
// everything, since they could open the database itself.
func Operator(actor audit.Actor) Caller {
	return Caller{Actor: actor, scopes: []string{All}, operator: true}
}

// NewCaller returns a caller who has these scopes.
func NewCaller(actor audit.Actor, scopes ...string) Caller {
	return Caller{Actor: actor, scopes: scopes}
}

// By returns the caller who calls by an access token.
func (c Caller) By(jti, client string) Caller {
	c.token, c.client = jti, client
	return c
}

// May reports whether the caller has a scope.
func (c Caller) May(scope string) bool {
	return slices.Contains(c.scopes, All) || slices.Contains(c.scopes, scope)
}

// must returns ErrForbidden unless the caller has All, for what could reach further.
func (c Caller) must(what string) error {
	if c.May(All) {
		return nil
	}
	return fmt.Errorf("%w: %s needs the scope %s", ErrForbidden, what, All)
}

// lacks is the refusal of a caller who lacks a scope.
func lacks(scope string) error { return fmt.Errorf("%w: this needs the scope %s", ErrForbidden, scope) }

// callerKey is of a type that no other package can name, so that no header, cookie or
// address makes somebody a caller.
type callerKey struct{}

// With returns a context whose requests are the caller's. Events of what is changed in it say
// by which token.
func With(ctx context.Context, c Caller) context.Context {
	from := audit.OriginOf(ctx)
	from.Token, from.Client = c.token, c.client
	return context.WithValue(audit.With(ctx, &from), callerKey{}, c)
}

// From returns the caller of a request.
func From(ctx context.Context) (Caller, bool) {
	c, ok := ctx.Value(callerKey{}).(Caller)
	return c, ok
}
