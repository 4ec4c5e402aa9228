package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/listeners"
)

// heartbeat is how often a listener gets at least a sign of life, so that both sides
// notice a dead connection. It is much shorter than the time after which the listener's
// knowledge would be too old for it.
const heartbeat = 4 * time.Second

// slowest is how long a listener may take to read what it is sent.
const slowest = 10 * time.Second

// events is the stream (WHATWG HTML section 9.2). It lasts until the listener or the
// server goes away, or the listener does not read. N is the number of a change; a
// listener that comes back sends the last one as Last-Event-ID.
//
//	hello   id N   {"listener": ID}: the stream begins after N; acknowledgements name ID
//	set     id N   {"set": [{"uri": U, "idx": [I, …]}, …]}: these bits were set;
//	               with "keys": true, read the key set again, too
//	reload  id N   {}: read the lists and the key set again
func (s statuses) events(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), s.timeout)
	defer cancel()
	if err := s.Lists.Await(ctx); err != nil {
		return err
	}
	if !s.Lists.Vouched() {
		return errBehind
	}
	query, err := parameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	listener, err := s.Events.Listen(ctx, presented(r, nil), query.Get("verifier"), query.Get("instance"))
	recordOf(r).clientID = listener.ClientID
	if err != nil {
		return forbidden(err)
	}
	seat := s.Connections.Enter(listener.ClientID)
	if seat == nil {
		recordOf(r).throttled = throttledListeners
		return protocol.Refuse(protocol.TemporarilyUnavailable, "Too many listeners are connected to this server.")
	}
	defer seat.Leave()
	last := r.Header.Get("Last-Event-ID")
	err = s.Listeners.SaveListener(ctx, listener, last != "")
	if errors.Is(err, listeners.ErrTooMany) {
		recordOf(r).throttled = throttledListeners
		return protocol.Refuse(protocol.TemporarilyUnavailable, "Too many listeners of this client are connected.")
	}
	if err != nil {
		return err
	}
	f := feed{statuses: s, listener: listener, gone: seat.Take(listener.ID), w: w}
	missed, err := f.resume(ctx, last)
	if err != nil {
		return err
	}
	f.serve(r.Context(), missed)
	return nil
}

// feed is the stream to one listener.
type feed struct {
	statuses
	listener listeners.Listener
	// gone is closed when the listener's record has been removed.
	gone <-chan struct{}
	w    http.ResponseWriter
	// at is the last change that the listener was told of, in a generation of the
	// stream.
	at         changes.Number
	generation int
}

// serve tells the listener what is set, until one side ends the connection.
func (f *feed) serve(ctx context.Context, missed bool) {
	h := f.w.Header()
	h.Set("Content-Type", "text/event-stream")
	unkept(h)
	h.Set("X-Accel-Buffering", "no") // otherwise nginx buffers the events
	// The server's own limits are for requests that end.
	http.NewResponseController(f.w).SetReadDeadline(time.Time{})
	if f.send("hello", f.at, map[string]string{"listener": f.listener.ID}) != nil {
		return
	}
	if missed && f.send("reload", f.at, struct{}{}) != nil {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		events, bell, ok, ended := f.Stream.After(f.at, f.generation)
		switch {
		case ended:
			return
		case !ok:
			if f.reload(ctx) != nil {
				return
			}
			continue
		case len(events) > 0:
			if f.tell(events) != nil {
				return
			}
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-f.gone:
			return
		case <-bell:
		case <-beat.C:
			// A sign of life tells the listener that nothing was set. If this process
			// does not know that, it must not send one.
			if !f.Lists.Vouched() || !f.mayStay(ctx) || f.write(":\n\n") != nil {
				return
			}
		}
	}
}

// mayStay reports whether the listener may go on listening. The database may have to be
// asked, and if it hangs, the stream must not wait for it for ever.
func (f *feed) mayStay(ctx context.Context) bool {
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	return f.Events.MayListen(bounded, f.listener)
}

// reload makes the listener read the lists again, because the events that it missed are
// no longer in memory, or because the database may have been restored. Its
// acknowledgements from before no longer mean anything.
func (f *feed) reload(ctx context.Context) error {
	f.at, f.generation = f.Stream.Number()
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	if err := f.Listeners.ResetListener(bounded, f.listener.ID); err != nil {
		return err
	}
	return f.send("reload", f.at, struct{}{})
}

// tell sends events to the listener.
func (f *feed) tell(events []listeners.Event) error {
	for _, e := range events {
		var err error
		if e.Reload {
			err = f.send("reload", e.Number, struct{}{})
		} else {
			err = f.send("set", e.Number, set{e.Set, e.Keys})
		}
		if err != nil {
			return err
		}
		f.at = e.Number
	}
	return nil
}

// send sends one event.
func (f *feed) send(event string, id changes.Number, data any) error {
	b, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return f.write(fmt.Sprintf("event: %s\nid: %d\ndata: %s\n\n", event, id, b))
}

// write writes to a listener, which has to read it within the time slowest.
func (f *feed) write(text string) error {
	control := http.NewResponseController(f.w)
	control.SetWriteDeadline(time.Now().Add(slowest))
	if _, err := io.WriteString(f.w, text); err != nil {
		return err
	}
	return control.Flush()
}

// resume finds out where a listener continues, and whether it has missed events that
// are no longer in memory.
func (f *feed) resume(ctx context.Context, lastEventID string) (missed bool, err error) {
	f.at, f.generation = f.Stream.Number()
	last, err := strconv.ParseInt(lastEventID, 10, 64)
	if err != nil {
		return false, nil // a new listener
	}
	n := changes.Number(last)
	if !f.Stream.Resumes(n) {
		return true, nil
	}
	if n > f.at {
		// The number is from another server, which was ahead of this one; or from
		// before the database was restored, and then it will not be reached again for a
		// long time.
		newest, err := f.Listeners.ChangeNumber(ctx)
		if err != nil {
			return false, err
		}
		if n > newest {
			return true, nil
		}
	}
	f.at = n
	return false, nil
}

// set is the data of a "set" event.
type set struct {
	Set  []listeners.Indices `json:"set"`
	Keys bool                `json:"keys,omitempty"`
}

func (s set) MarshalJSON() ([]byte, error) {
	type plain set
	if s.Set == nil {
		s.Set = []listeners.Indices{}
	}
	return json.Marshal(plain(s))
}

var errBehind = protocol.Refuse(protocol.TemporarilyUnavailable, "The server cannot read changes from its database.")

// acknowledge stores up to which change a listener has applied what it was told.
func (s statuses) acknowledge(w http.ResponseWriter, r *http.Request) error {
	if err := parseForm(r); err != nil {
		return err
	}
	caller, n, err := s.Events.Acknowledge(r.Context(), presented(r, r.PostForm), r.PostForm.Get("listener"), r.PostForm.Get("id"), r.PostForm.Get("leaving"))
	recordOf(r).clientID = caller
	if err != nil {
		return forbidden(err)
	}
	if made := s.Stream.Made(n); !made.IsZero() {
		s.observer.CutAcknowledged(s.now().Sub(made))
	}
	unkept(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// forbidden gives the refusal of a client that is no API the status by which a verifier
// sees that trying again does not help.
func forbidden(err error) error {
	if protocol.From(err).Code == protocol.UnauthorizedClient {
		return withStatus{err, http.StatusForbidden}
	}
	return err
}
