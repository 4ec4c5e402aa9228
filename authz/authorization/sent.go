package authorization

import (
	"context"
	"net/url"
	"strconv"
	"strings"
)

// Sent is what is logged of an authorization request that was refused. It is enough to
// find out what is set up wrong. People paste secrets into wrong fields, so nothing else
// is logged. Each field is quoted and bounded, because a stranger chooses its value; it is
// empty if nothing was sent.
type Sent struct {
	// ClientID is the client_id that was sent, whether or not there is such a client.
	ClientID string
	// RedirectURI is the redirect_uri without user, query and fragment.
	RedirectURI string
	// Scopes are the scopes sent that exist; UnknownScopes is how many others were sent.
	Scopes        string
	UnknownScopes int
}

// The bounds of what is logged of one request, in bytes: a stranger could fill the log.
const (
	maxSentID     = 100
	maxSentURI    = 200
	maxSentScopes = 300
	// mostSentScopes is how many scopes are looked up: a request may have thousands.
	mostSentScopes = 50
)

// WhatWasSent returns what to log of an authorization request that was refused, however
// malformed it is.
func (e *Endpoint) WhatWasSent(ctx context.Context, query url.Values) Sent {
	s := Sent{ClientID: quoted(query.Get("client_id"), maxSentID), RedirectURI: quoted(barely(query.Get("redirect_uri")), maxSentURI)}
	scopes := strings.Fields(query.Get("scope"))
	looked := scopes[:min(len(scopes), mostSentScopes)]
	known, others, err := e.rules.APIs.Known(ctx, looked)
	if err != nil {
		// This is for the log alone, so the error need not be reported: all scopes
		// count as unknown.
		known, others = nil, len(looked)
	}
	s.Scopes, s.UnknownScopes = quoted(strings.Join(known, " "), maxSentScopes), others+len(scopes)-len(looked)
	return s
}

// barely returns an address without its user, query and fragment: there may be secrets
// in these.
func barely(address string) string {
	address, _, _ = strings.Cut(address, "#")
	address, _, _ = strings.Cut(address, "?")
	scheme, rest, ok := strings.Cut(address, "://")
	if _, err := url.Parse(address); !ok || err != nil {
		// In such an address it is not clear where the user ends: a password may
		// contain a slash, or the scheme may be missing.
		return address[strings.LastIndexByte(address, '@')+1:]
	}
	host, path, below := strings.Cut(rest, "/")
	host = host[strings.LastIndexByte(host, '@')+1:]
	if below {
		path = "/" + path
	}
	return scheme + "://" + host + path
}

// quoted makes a stranger's text safe to log: it escapes quotes and what is invisible, so
// that the text cannot pass for another, and cuts it off after most bytes.
func quoted(s string, most int) string {
	more := ""
	if len(s) > most {
		s, more = strings.ToValidUTF8(s[:most], ""), "…"
	}
	q := strconv.QuoteToGraphic(s)
	return q[1:len(q)-1] + more
}
