package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
)

// holders reads the refresh tokens that a first-party app sends.
type holders struct {
	firstParty *authz.FirstParty
	apps       appPages
}

// holding is the refresh tokens in a request, and the client that they were issued to.
type holding struct {
	client *clients.Client
	// tokens are the valid ones that were issued to the client. There can be several
	// only in cookies, because another server of the same site may have planted some.
	tokens []string
	// cookies are the names of the refresh cookies in the request.
	cookies []string
}

// of returns the refresh tokens in a request. The client is nil if there are none.
func (s holders) of(w http.ResponseWriter, r *http.Request) (holding, error) {
	refuse := func(why string) (holding, error) {
		return holding{}, protocol.Refuse(protocol.InvalidRequest, "%s", why)
	}
	in, err := readJSON(r, "refreshToken", "client_id")
	if err != nil {
		return holding{}, err
	}
	var h holding
	owners := map[string]bool{}
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, refreshCookie) || in["client_id"] != "" && c.Name != refreshCookieOf(in["client_id"]) {
			continue
		}
		h.cookies = append(h.cookies, c.Name)
		if len(h.cookies) > mostCookies {
			return refuse("There are too many refresh tokens.")
		}
		owner, err := s.firstParty.HolderOf(r.Context(), c.Value)
		if err != nil {
			return holding{}, err
		}
		if owner != "" && refreshCookieOf(owner) == c.Name && !slices.Contains(h.tokens, c.Value) {
			h.tokens, owners[owner] = append(h.tokens, c.Value), true
		}
	}
	switch token := in["refreshToken"]; {
	case token != "" && len(h.cookies) > 0:
		return refuse("The refresh token comes in the body and in a cookie.")
	case len(owners) > 1:
		return refuse("There are refresh tokens of several apps: name the client_id.")
	case token != "":
		h.tokens = []string{token}
	case len(h.tokens) == 0:
		if len(h.cookies) == 0 {
			return h, nil
		}
		known, err := s.apps.known(r)
		if err == nil && !known {
			err = errOrigin
		}
		return h, err
	}
	h.client, err = s.firstParty.ClientOf(r.Context(), presented(r, public(in["client_id"])), h.tokens[0])
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		h.tokens = nil
		return h, nil
	}
	if err != nil {
		return h, err
	}
	recordOf(r).clientID = h.client.ID
	if (h.client.Hold == clients.HoldCookie) != (len(h.cookies) > 0) {
		return refuse("The client is registered to hold its refresh token in another way.")
	}
	return h, s.apps.serves(r, h.client)
}

// mostCookies is how many refresh tokens a browser may send: checking one costs the
// server more than sending one costs an attacker.
const mostCookies = 10

// unauthorized returns the error that makes an app sign its user in again.
func unauthorized(err error) error {
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		return withStatus{refused, http.StatusUnauthorized}
	}
	return err
}
