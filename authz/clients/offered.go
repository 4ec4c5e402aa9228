package clients

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/field"
)

// check refuses a registration that could not work, given all APIs that there are.
// A scope in lost that none of the client's APIs offers is left alone: an API took
// it back, and what else is changed has nothing to do with it.
func (c Client) check(all []apis.API, own *apis.Own, lost []string) error {
	if err := c.validate(); err != nil {
		return err
	}
	var offered []string
	for i, audience := range slices.Concat(c.Audiences, c.Introspects) {
		at := slices.IndexFunc(all, func(a apis.API) bool { return a.Audience == audience })
		if at < 0 {
			member, n := "audiences", i
			if i >= len(c.Audiences) {
				member, n = "introspects", i-len(c.Audiences)
			}
			return field.At(fmt.Errorf("%w: %s (create it first: ingam api create --audience %s …)", ErrUnknownAudience, audience, audience), member, n)
		}
		if i < len(c.Audiences) {
			offered = append(offered, all[at].Scopes...)
		}
	}
	// It could never be had, and a sign-in is the wrong time to learn of a
	// misspelling.
	for _, scope := range c.Unoffered(all, own) {
		switch {
		case slices.Contains(lost, scope):
		case len(c.Audiences) > 0:
			return invalid("scopes", fmt.Errorf("scope %q is offered by none of the client's APIs, which offer %q", scope, strings.Join(offered, " ")))
		default:
			return invalid("scopes", fmt.Errorf("scope %q is offered by no API of the client: name one with --audience (the server's own scopes are %q)", scope, strings.Join(own.Names(), " ")))
		}
	}
	return nil
}

// Unoffered returns the scopes of the client that it can never be given: none of its APIs
// offers them, and they are not the server's own.
func (c Client) Unoffered(all []apis.API, own *apis.Own) []string {
	return slices.DeleteFunc(slices.Clone(c.Scopes), func(scope string) bool {
		return own.Has(scope) || slices.ContainsFunc(all, func(a apis.API) bool {
			return slices.Contains(c.Audiences, a.Audience) && slices.Contains(a.Scopes, scope)
		})
	})
}
