package authorization

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

// Sent is what the log has of an authorization request that was refused: enough to
// find out what is set up wrong, and nothing that was pasted into the wrong field, but
// for a client id. Each is quoted and bounded, for a stranger chooses it; what was not
// sent is empty.
type Sent struct {
	// ClientID is what was sent as one, whether or not there is such a client.
	ClientID string
	// RedirectURI is without user, query and fragment.
	RedirectURI string
	// Scopes are those that there are; UnknownScopes is how many others there were.
	Scopes        string
	UnknownScopes int
}

// The bounds of what a stranger can have logged by a request, in bytes.
const (
	maxSentID     = 100
	maxSentURI    = 200
	maxSentScopes = 300
	// mostSentScopes is how many are looked at: a request may hold thousands.
	mostSentScopes = 50
)

// WhatWasSent reads an authorization request that was refused, however broken it is.
func (e *Endpoint) WhatWasSent(ctx context.Context, query url.Values) Sent {
	s := Sent{ClientID: quoted(query.Get("client_id"), maxSentID), RedirectURI: quoted(barely(query.Get("redirect_uri")), maxSentURI)}
	scopes := strings.Fields(query.Get("scope"))
	looked := scopes[:min(len(scopes), mostSentScopes)]
	known, others, err := e.rules.APIs.Known(ctx, looked)
	if err != nil {
		// It is about the log alone; then they are not known.
		known, others = nil, len(looked)
	}
	s.Scopes, s.UnknownScopes = quoted(strings.Join(known, " "), maxSentScopes), others+len(scopes)-len(looked)
	return s
}

// barely returns an address without its user, its query and its fragment, in which
// there may be secrets.
func barely(address string) string {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(address, "://")
	if _, err := url.Parse(address); !ok || err != nil {
		// Where the user would end is not clear: a password may hold a slash, and the
		// scheme be missing.
		return address[strings.LastIndexByte(address, '@')+1:]
	}
	host, path, below := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	if below {
		path = "/" + path
	}
	return scheme + "://" + host + path
}

// quoted writes a text of a stranger's so that nothing in it is invisible, or looks
// like something else, and cuts it off after so many bytes.
func quoted(s string, most int) string {
	more := ""
	if len(s) > most {
		s, more = strings.ToValidUTF8(s[:most], ""), "…"
	}
	q := strconv.QuoteToGraphic(s)
	return q[1:len(q)-1] + more
}
