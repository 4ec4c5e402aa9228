package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status"
)

// statuses serves the status lists and the stream of what is set in them.
type statuses struct {
	authority *authz.Authority
	lists     *status.Lists
	listening *Listening
	observer  Observer
	// timeout bounds what is asked of the database.
	timeout time.Duration
}

// list is draft-ietf-oauth-status-list-20 section 8.1.
func (s statuses) list(w http.ResponseWriter, r *http.Request) error {
	number := numberOf(r.PathValue("list"))
	if number == 0 {
		return errNoList
	}
	token, err := s.lists.Token(r.Context(), number)
	if errors.Is(err, status.ErrNotFound) {
		return errNoList
	}
	if err != nil {
		return err
	}
	if !s.lists.Vouched() {
		// What it has may be as old as this: it is not told that it stands.
		r.Header.Del("If-None-Match")
	}
	writeList(w, r, token)
	return nil
}

// numberOf reads the number of a list in its one spelling; 0 for what is none.
func numberOf(text string) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 1 || strconv.FormatInt(number, 10) != text {
		return 0
	}
	return number
}

// writeList returns the status that it answers with.
func writeList(w http.ResponseWriter, r *http.Request, token *status.Token) int {
	h := w.Header()
	h["Content-Type"], h["Cache-Control"] = statusListType, token.CacheControl
	if etag := r.Header.Get("If-None-Match"); etag != "" && token.Is(etag) {
		// What it has is as good: its own tag, then.
		h.Set("ETag", etag)
		w.WriteHeader(http.StatusNotModified)
		return http.StatusNotModified
	}
	h["Etag"], h["Content-Length"] = token.ETag, token.Length
	w.Write(token.Body)
	return http.StatusOK
}

// quick serves lists that are signed already past everything else: every verifier
// fetches them every few seconds, to that an id and a record in the log would
// only be noise. They are counted instead.
func (s statuses) quick(at string) func(http.Handler) http.Handler {
	below := at + status.Path
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			text, is := strings.CutPrefix(r.URL.Path, below)
			if is && r.Method == http.MethodGet && len(r.Header["Origin"]) == 0 {
				if number := numberOf(text); number != 0 {
					if token := s.lists.Signed(number); token != nil {
						began, h := time.Now(), w.Header()
						h["X-Content-Type-Options"], h["Vary"] = nosniff, varyOrigin
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

var nosniff = []string{"nosniff"}

// varyOrigin keeps a cache on the way from giving a script the answer that was for
// a server, which says nothing of scripts.
var varyOrigin = []string{"Origin"}

var statusListType = []string{"application/" + status.TokenType}

var errNoList = withStatus{
	protocol.Refuse(protocol.InvalidRequest, "There is no such status list, or the last token that refers to it has expired."), http.StatusNotFound,
}

// aggregate is section 9.3 of the draft.
func (s statuses) aggregate(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string][]string{"status_lists": s.lists.URIs()})
	return nil
}

// heartbeat is how often a listener hears something, so that both sides notice
// a connection that died without a word, and well before what the listener knows
// would be too old for it.
const heartbeat = 4 * time.Second

// slowest is how long a listener may take to read what it is sent.
const slowest = 10 * time.Second

// events is the stream (WHATWG HTML section 9.2). It lasts until the listener or
// the server goes away, or the listener does not read.
//
//	hello   id N   {"listener": ID}: N is where it begins, ID what acknowledgements name
//	set     id N   {"set": [{"uri": U, "idx": [I, …]}, …]}: these were set;
//	               with "keys": true, read the key set again, too
//	reload  id N   {}: read the lists and the key set again
func (s statuses) events(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout)
	defer cancel()
	if err := s.lists.Await(ctx); err != nil {
		return err
	}
	if !s.lists.Vouched() {
		return errBehind
	}
	query, err := parameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	listener, err := s.authority.Listen(ctx, r, query.Get("verifier"), query.Get("instance"))
	recordOf(r).clientID = listener.ClientID
	if err != nil {
		return err
	}
	seat := s.listening.enter(listener.ClientID)
	if seat == nil {
		recordOf(r).throttled = throttledListeners
		return protocol.Refuse(protocol.TemporarilyUnavailable, "Too many listeners are connected to this server.")
	}
	defer seat.leave()
	err = s.authority.Listeners.SaveListener(ctx, listener, r.Header.Get("Last-Event-ID") != "")
	if errors.Is(err, status.ErrTooManyListeners) {
		recordOf(r).throttled = throttledListeners
		return protocol.Refuse(protocol.TemporarilyUnavailable, "Too many listeners of this client are connected.")
	}
	if err != nil {
		return err
	}
	gone := seat.take(listener.ID)
	stream := s.lists.Stream()
	at, generation, missed, err := s.resume(ctx, r.Header.Get("Last-Event-ID"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	unkept(h)
	h.Set("X-Accel-Buffering", "no") // nginx would keep events to itself
	control := http.NewResponseController(w)
	// The server's own limits are for requests that end.
	control.SetReadDeadline(time.Time{})
	send := func(event string, id changes.Number, data any) error {
		b, err := json.Marshal(data)
		if err != nil {
			return err
		}
		control.SetWriteDeadline(time.Now().Add(slowest))
		if _, err := fmt.Fprintf(w, "event: %s\nid: %d\ndata: %s\n\n", event, id, b); err != nil {
			return err
		}
		return control.Flush()
	}
	if send("hello", at, map[string]string{"listener": listener.ID}) != nil {
		return nil
	}
	if missed && send("reload", at, struct{}{}) != nil {
		return nil
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		events, bell, ok, ended := stream.After(at, generation)
		if ended {
			return nil
		}
		if !ok {
			// What it has yet to be told is remembered no more, or anything may have
			// happened; then what it acknowledged means nothing either.
			at, generation = stream.Number()
			again, cancel := context.WithTimeout(r.Context(), s.timeout)
			err := s.authority.Listeners.ResetListener(again, listener.ID)
			cancel()
			if err != nil || send("reload", at, struct{}{}) != nil {
				return nil
			}
			continue
		}
		for _, e := range events {
			var err error
			if e.Reload {
				err = send("reload", e.Number, struct{}{})
			} else {
				err = send("set", e.Number, set{e.Set, e.Keys})
			}
			if err != nil {
				return nil
			}
			at = e.Number
		}
		if len(events) > 0 {
			continue
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-gone:
			return nil
		case <-bell:
		case <-beat.C:
			// A sign of life says that nothing was set. Whoever does not know must
			// not say so.
			if !s.lists.Vouched() || !s.authority.MayListen(r.Context(), listener.ClientID) {
				return nil
			}
			control.SetWriteDeadline(time.Now().Add(slowest))
			if _, err := io.WriteString(w, ":\n\n"); err != nil || control.Flush() != nil {
				return nil
			}
		}
	}
}

// set is the data of an event of that name.
type set struct {
	Set  []status.Indices `json:"set"`
	Keys bool             `json:"keys,omitempty"`
}

func (s set) MarshalJSON() ([]byte, error) {
	type plain set
	if s.Set == nil {
		s.Set = []status.Indices{}
	}
	return json.Marshal(plain(s))
}

var errBehind = protocol.Refuse(protocol.TemporarilyUnavailable, "The server cannot read changes from its database.")

// resume returns where a listener goes on, and whether it has missed something
// that it cannot be told any more.
func (s statuses) resume(ctx context.Context, lastEventID string) (at changes.Number, generation int, missed bool, err error) {
	stream := s.lists.Stream()
	now, generation := stream.Number()
	last, err := strconv.ParseInt(lastEventID, 10, 64)
	if err != nil {
		return now, generation, false, nil // it begins
	}
	at = changes.Number(last)
	if !stream.Resumes(at) {
		return now, generation, true, nil
	}
	if at > now {
		// Another server was ahead of this one; or the database was restored, and
		// the number will not come again for long.
		newest, err := s.authority.Listeners.ChangeNumber(ctx)
		if err != nil || at <= newest {
			return at, generation, false, err
		}
		return now, generation, true, nil
	}
	return at, generation, false, nil
}

// acknowledge takes what a listener has applied.
func (s statuses) acknowledge(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	caller, n, err := s.authority.Acknowledge(r.Context(), r)
	recordOf(r).clientID = caller
	if err != nil {
		return err
	}
	if made := s.lists.Stream().Made(n); !made.IsZero() {
		s.observer.CutAcknowledged(s.authority.Now().Sub(made))
	}
	unkept(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
