package web

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/lists"
)

// statuses serves the status lists and the stream that tells which of their bits were
// set.
type statuses struct {
	Statuses
	observer Observer
	// timeout limits each call to the database.
	timeout time.Duration
	now     func() time.Time
}

// list serves a status list (draft-ietf-oauth-status-list-20 section 8.1).
func (s statuses) list(w http.ResponseWriter, r *http.Request) error {
	number := status.Number(r.PathValue("list"))
	if number == 0 {
		return errNoList
	}
	token, err := s.Lists.Token(r.Context(), number)
	if errors.Is(err, lists.ErrNotFound) {
		return errNoList
	}
	if err != nil {
		return err
	}
	if !s.Lists.Vouched() {
		// The verifier's copy may be outdated like the one here, so it must not be told
		// that its copy is current.
		r.Header.Del("If-None-Match")
	}
	writeList(w, r, token)
	return nil
}

// writeList writes a list and returns the HTTP status of the answer.
func writeList(w http.ResponseWriter, r *http.Request, token *lists.Token) int {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = statusListType, token.CacheControl
	if etag := r.Header.Get("If-None-Match"); etag != "" && token.Is(etag) {
		// The verifier's copy is equally good, so confirm it by its own tag.
		h.Set("ETag", etag)
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	h["Etag"], h["Content-Length"] = token.ETag, token.Length
	w.Write(token.Body)
	return http.StatusOK
}

// quick serves lists that are already signed, before all other middleware. Every
// verifier fetches them every few seconds. With an id and a log record for each of
// these requests, nobody would find the other records. They are counted instead. What
// protects answers in browsers is set here too: such an answer is one as well.
func (s statuses) quick(at string, protection http.Header) func(http.Handler) http.Handler {
	below := at + PathStatusLists + "/"
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, is := strings.CutPrefix(r.URL.Path, below)
			if is && r.Method == http.MethodGet && len(r.Header["Origin"]) == 0 {
				if number := status.Number(text); number != 0 {
					if token := s.Lists.Signed(number); token != nil {
						began, h := time.Now(), w.Header()
						maps.Copy(h, protection)
						h["Vary"] = varyOrigin
						s.observer.RequestServed(pathStatusList, http.MethodGet, writeList(w, r, token))
						s.observer.RequestTook(pathStatusList, time.Since(began))
						s.observer.ListServed()
						return
					}
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// varyOrigin keeps a cache from giving a script the answer that it has stored for a
// server, which lacks the CORS headers.
var varyOrigin = []string{"Origin"}

var statusListType = []string{"application/" + lists.TokenType}

var errNoList = withStatus{
	protocol.Refuse(protocol.InvalidRequest, "There is no such status list, or the last token that refers to it has expired."), http.StatusNotFound,
}

// aggregate lists the addresses of all status lists (section 9.3 of the draft).
func (s statuses) aggregate(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string][]string{"status_lists": s.Lists.URIs()})
	return nil
}
