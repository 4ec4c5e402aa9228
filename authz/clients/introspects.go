package clients

import (
	"fmt"
	"slices"

	"github.com/ingam/ingam/authz/apis"
)

// Is reports whether the client is the API with that audience: it was registered so, or
// its id is the audience. Whoever asks has checked its secret.
func (c *Client) Is(audience string) bool {
	return audience == c.ID || slices.Contains(c.Introspects, audience)
}

// MayListen reports whether the client may listen to the status stream: it is an API, or
// has no grant type, so that it is the credentials of an API and nothing else.
func (c *Client) MayListen() bool {
	return c.Auth != None && (len(c.Introspects) > 0 || len(c.Grants) == 0)
}

// introspectAudiences makes a new client that can ask for no token the credentials of its
// audiences, if it does not say which (or none): what else would they be for?
func (c *Client) introspectAudiences() {
	if len(c.Grants) == 0 && c.Introspects == nil && c.Auth != None {
		c.Introspects = c.Audiences
	}
}

// validIntrospects checks the APIs that the client is to be.
func (c Client) validIntrospects() error {
	if len(c.Introspects) > 0 && c.Auth == None {
		return fmt.Errorf("a public client cannot introspect: it has no secret, so anyone can claim to be it")
	}
	return noneTwice("the audience to introspect", c.Introspects)
}

// noneTwice refuses a list that has an audience twice, in whatever spelling.
func noneTwice(what string, audiences []string) error {
	for i, a := range audiences {
		if _, twice := apis.Registered(audiences[:i], a); twice {
			return fmt.Errorf("%s %q is given twice", what, a)
		}
	}
	return nil
}

// asRegistered returns the audiences, each as its API writes it.
func asRegistered(audiences []string, all []apis.API) []string {
	known := make([]string, len(all))
	for i, api := range all {
		known[i] = api.Audience
	}
	audiences = slices.Clone(audiences)
	for i, audience := range audiences {
		if registered, ok := apis.Registered(known, audience); ok {
			audiences[i] = registered
		}
	}
	return audiences
}
