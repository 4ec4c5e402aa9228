package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/ingam/ingam/authz/authorization"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
)

// faults reports errors of pages: to the person or, where it is safe, to the client.
type faults struct {
	endpoint       *authorization.Endpoint
	authorizations authorizations
	screen         screen
	// origin is the web origin of the issuer.
	origin string
	// apps are the web origins of the clients.
	apps *origins
}

// page is a handler whose failures are shown to a person.
type page func(w http.ResponseWriter, r *http.Request) error

func (f faults) page(h page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			f.fail(w, r, err)
		}
	})
}

// turnedAway is the error of a request that reached no page or endpoint. A person or a
// program may have sent it.
type turnedAway struct {
	error
	// fault says, for the page, whose fault it is.
	fault pages.Fault
}

func (e turnedAway) Unwrap() error { return e.error }

// errNothing says that there is no page at an address.
var errNothing = turnedAway{
	withStatus{protocol.Refuse(protocol.InvalidRequest, "There is nothing at this address."), http.StatusNotFound}, pages.FaultOfLink,
}

// endedMeanwhile says that the person who was shown a page is no longer signed in.
type endedMeanwhile struct {
	error
	// again is the path, below the issuer's, where the person can begin again.
	again string
}

func (e endedMeanwhile) Unwrap() error { return e.error }

// codeSessionEnded is the error in the log and the metrics for a person whose login session
// has ended.
const codeSessionEnded = "session_ended"

func errForeign(cause error) error {
	e := protocol.Refuse(protocol.InvalidRequest, "The page that sent this is not one of this server.")
	e.Cause = cause
	return turnedAway{withStatus{e, http.StatusForbidden}, pages.FaultOfSite}
}

// nothing answers requests without a route: an unknown path, or a method that the path
// does not have (RFC 9110 section 15.5.6). unserved are the patterns that lead here.
func nothing(routes *http.ServeMux, unserved map[string]bool) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		var allowed []string
		for _, method := range []string{http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut} {
			if _, pattern := routes.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); !unserved[pattern] {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) == 0 {
			return errNothing
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		e := protocol.Refuse(protocol.InvalidRequest, "This address is not for the method of the request.")
		return turnedAway{withStatus{e, http.StatusMethodNotAllowed}, pages.FaultOfLink}
	}
}

// everything is the pattern for requests that no other route matches.
const everything = "/"

// fail sends an error to the client if that is safe, and otherwise shows it to the
// person.
func (f faults) fail(w http.ResponseWriter, r *http.Request, err error) {
	if asked := recordOf(r).asked; asked != nil && statusOf(err) < http.StatusInternalServerError {
		sent := f.endpoint.WhatWasSent(r.Context(), asked)
		recordOf(r).sent = &sent
	}
	var toClient *authorization.RefusedError
	if errors.As(err, &toClient) {
		rec := recordOf(r)
		rec.errorCode, rec.err, rec.clientID = string(toClient.Refused.Code), err, toClient.Request.Client.ID
		f.authorizations.answer(w, r, toClient.Request, url.Values{
			"error": {string(toClient.Refused.Code)}, "error_description": {visible(toClient.Refused.Description)},
		})
		return
	}
	var away turnedAway
	if errors.As(err, &away) && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		refuse(w, r, err)
		return
	}
	e := protocol.From(err)
	rec := recordOf(r)
	rec.errorCode, rec.err = string(e.Code), err
	page, status := pages.Error{Fault: pages.FaultOfApp, Description: e.Description}, head(w.Header(), err)
	var ended endedMeanwhile
	at := place{}
	if below, ok := strings.CutPrefix(r.URL.RequestURI(), f.screen.base+"/"); ok && r.Method == http.MethodGet {
		at.here = "/" + below
	}
	switch {
	case away.fault != "":
		page.Fault = away.fault
	case errors.As(err, &ended), errors.Is(err, sessions.ErrNotFound):
		// Without a code of its own it would count as a fault of the server, which
		// anybody could bring about.
		rec.errorCode = codeSessionEnded
		page.Fault, page.Again, status, page.Description = pages.FaultOfTime, ended.again, http.StatusForbidden, "The login session has ended."
	case status >= http.StatusInternalServerError:
		page.Fault, page.Again = pages.FaultOfServer, at.here
	case status == http.StatusUnauthorized:
		status = http.StatusBadRequest // a 401 would need a challenge, and a person has no client credentials
	}
	page.Back, page.BackTo = f.wayBack(r, at)
	f.screen.show(w, r, at, status, page)
}

// wayBack returns the page that a person came from, and the text of the link to it, if
// it is a page of this server or of an application. Other pages get no link: it would
// look as if this server recommended them.
func (f faults) wayBack(r *http.Request, at place) (address, name string) {
	from, err := url.Parse(r.Referer())
	if err != nil || len(r.Referer()) > 2000 || from.Scheme != "https" && from.Scheme != "http" || from.Host == "" || from.User != nil {
		return "", ""
	}
	origin := from.Scheme + "://" + from.Host
	// Another path on this host, or a page without TLS, may belong to a stranger.
	if below, ok := strings.CutPrefix(from.RequestURI(), f.screen.base+"/"); ok && origin == f.origin {
		if path, _, _ := strings.Cut("/"+below, "?"); "/"+below == at.here || path == pathConsent {
			return "", "" // the same page, or one that exists only as the answer to a form
		}
		return from.String(), f.screen.text(r, "").T("previous page")
	}
	// If the lookup fails, there is just no link, because the page reports another
	// error.
	if known, err := f.apps.sendsHere(r.Context(), origin); err != nil || !known {
		return "", ""
	}
	return from.String(), from.Host
}
