package verify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// silence is how long the stream may be silent before it counts as dead. The server
	// sends a heartbeat every 4 s.
	silence = 40 * time.Second
	// maxEvent bounds the size of an event, in bytes.
	maxEvent = 4 << 20
	// slowestStream is the longest pause between attempts to connect; refusedStream is
	// the longest one if the server has refused this client.
	slowestStream, refusedStream = 10 * time.Second, time.Minute
	// settled is how long a connection must have lasted for its end to be ordinary, so
	// that the count of failures begins again.
	settled = 5 * time.Second
)

// stream is the connection over which the issuer sends revocations.
//
// Time is divided into generations. Within one generation the server has sent every
// change, even if over several connections. So a list that was fetched in it is as fresh
// as the stream's last byte. If changes may have been missed, there is a gap: it begins
// the next generation, and each list must be fetched again to belong to it.
type stream struct {
	v         *Verifier
	coverage  atomic.Pointer[coverage]
	connected atomic.Bool
	// trouble is why there is no connection.
	trouble atomic.Pointer[string]

	// instance distinguishes this process from replicas that have the same name.
	instance string
	// listener is the server's name for the last connection; nil after leave.
	listener atomic.Pointer[string]

	// The goroutine of run alone uses the next four. last is the id of the last event
	// that was applied; resumable says that a connection can continue after it.
	last      uint64
	resumable bool
	// upTo is the id of the last event that was missed while there was no connection;
	// caughtUp says that the connection has sent it.
	upTo     uint64
	caughtUp bool

	// applied is the id of the last event that was applied, plus one, and acked that of
	// the last one that was acknowledged; 0 means none.
	applied, acked atomic.Uint64
	// keysFrom is when demandKeys was last called, in Unix nanoseconds: a key set that
	// was requested before is too old.
	keysFrom atomic.Int64
	ackWake  chan struct{}
}

func newStream(v *Verifier, instance string) *stream {
	s := &stream{v: v, instance: instance, ackWake: make(chan struct{}, 1)}
	s.coverage.Store(&coverage{})
	return s
}

// errRefused: the server does not let this client have the stream. errLost: what came
// cannot be understood, so that the next connection cannot continue from it.
var (
	errRefused = errors.New("the server refuses")
	errLost    = errors.New("the stream cannot be understood")
	errSilent  = errors.New("nothing was heard for " + silence.String())
	errForgot  = errors.New("the server has forgotten this listener")
)

// run keeps the stream up until the context is done.
func (s *stream) run(ctx context.Context) {
	failures := 0
	for ctx.Err() == nil {
		begun := s.v.cfg.Now()
		err := s.connect(ctx)
		wasConnected := s.connected.Swap(false)
		if ctx.Err() != nil {
			return
		}
		why := err.Error()
		s.trouble.Store(&why)
		if errors.Is(err, errLost) {
			s.resumable = false
		}
		if wasConnected && age(s.v.cfg.Now(), begun) >= settled {
			failures = 0
		}
		failures++
		if failures == 1 || wasConnected {
			s.v.cfg.Logger.Warn("the status stream is down", "error", err)
		}
		s.v.counts.streamFailures.Add(1)
		most := slowestStream
		if errors.Is(err, errRefused) {
			most, failures = refusedStream, 16
		}
		var delay time.Duration
		if failures == 1 {
			// Most often the server has restarted; a random delay keeps its verifiers
			// from coming back all at once.
			delay = time.Duration(rand.Int64N(int64(time.Second)))
		} else {
			delay = backoff(failures-1, time.Second, most)
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// connect opens the stream and applies its events until it ends.
func (s *stream) connect(ctx context.Context) error {
	m := s.v.meta.Load()
	if m == nil {
		return errors.New("the issuer's metadata are not known yet")
	}
	if m.Events == "" {
		return fmt.Errorf("%w: it offers no status stream", errRefused)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var acknowledging sync.WaitGroup
	defer acknowledging.Wait()
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watchdog.Stop()

	body, err := s.open(ctx, m.Events)
	if err == nil {
		defer body.Close()
		r := bufio.NewReader(&listener{body, func() { watchdog.Reset(silence) }})
		err = s.read(r, func(id string) {
			acknowledging.Go(func() { s.acknowledge(ctx, cancel, id) })
		})
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, errLost) && !errors.Is(err, errRefused) {
		// The network's error would only say that this side has closed the connection.
		return cause
	}
	return err
}

// open requests the stream, to continue after the last event that was applied.
func (s *stream) open(ctx context.Context, address string) (io.ReadCloser, error) {
	events, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("the address of the status stream cannot be used")
	}
	query := events.Query()
	query.Set("verifier", s.v.cfg.Name)
	query.Set("instance", s.instance)
	events.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, events.String(), nil)
	if err != nil {
		return nil, errors.New("the address of the status stream cannot be used")
	}
	s.v.authenticate(req)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Cache-Control", "no-store")
	// A proxy that compresses would hold events back until it has enough of them.
	req.Header.Set("Accept-Encoding", "identity")
	if s.resumable {
		req.Header.Set("Last-Event-ID", strconv.FormatUint(s.last, 10))
	}
	resp, err := s.v.source.client.Do(req)
	if err != nil {
		return nil, err
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		err = fmt.Errorf("%w: %s (ClientID and ClientSecret, and what that client may do)", errRefused, resp.Status)
	case resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("the server answered %s", resp.Status)
	case strings.TrimSpace(kind) != "text/event-stream":
		err = errors.New("the server answered with something else than a stream")
	}
	if err != nil {
		resp.Body.Close()
		return nil, err
	}
	return resp.Body, nil
}

// read applies events until the connection ends. It calls begun after the first one, with
// the server's name for this connection.
func (s *stream) read(r *bufio.Reader, begun func(listener string)) error {
	heartbeat := func() {
		// The server sends one only when it has no event left to send.
		if s.connected.Load() {
			s.caughtUp = true
			s.heard()
		}
	}
	for first := true; ; first = false {
		e, err := readEvent(r, heartbeat)
		if err != nil {
			return err
		}
		if first != (e.kind == "hello") {
			return fmt.Errorf("%w: hello is the first event and no other", errLost)
		}
		if first {
			var id string
			if id, err = s.hello(e); err == nil {
				begun(id)
			}
		} else {
			err = s.apply(e)
		}
		if err != nil {
			return err
		}
	}
}

// authenticate adds this API's client credentials to a request to the issuer (RFC 6749
// section 2.3.1).
func (v *Verifier) authenticate(r *http.Request) {
	r.SetBasicAuth(url.QueryEscape(v.cfg.ClientID), url.QueryEscape(v.cfg.ClientSecret))
}

// hello reads the first event of a connection, and returns the server's name for it.
func (s *stream) hello(e sent) (listener string, err error) {
	var data struct {
		Listener string `json:"listener"`
	}
	if json.Unmarshal(e.data, &data) != nil || data.Listener == "" || !e.numbered {
		return "", fmt.Errorf("%w: hello", errLost)
	}
	if s.resumable && s.last <= e.id {
		// The stream continues after the last event that was applied here. The id of
		// hello may be that of a later event, which is still to come, so last stays: if
		// the connection broke now, continuing from hello's id would lose those events.
		s.upTo, s.caughtUp = e.id, e.id == s.last
		s.heard()
	} else {
		// Nothing is known of what was set before; or the server's numbers have gone
		// back, so that its events belong to another history.
		s.gap(e.id)
		s.last, s.resumable = e.id, true
	}
	s.applied.Store(s.last + 1)
	s.acked.Store(0)
	s.listener.Store(&data.Listener)
	s.connected.Store(true)
	s.trouble.Store(nil)
	s.v.counts.events.Add(1)
	s.v.cfg.Logger.Info("the status stream is up")
	return data.Listener, nil
}

// apply carries out an event. An event may come twice, and in any order: bits are only
// ever set.
func (s *stream) apply(e sent) error {
	switch e.kind {
	case "set":
		var data struct {
			Set []struct {
				URI     string   `json:"uri"`
				Indices []uint64 `json:"idx"`
			} `json:"set"`
			Keys bool `json:"keys"`
		}
		if json.Unmarshal(e.data, &data) != nil {
			return fmt.Errorf("%w: set", errLost)
		}
		var change *uint64
		if e.numbered {
			change = &e.id
		}
		for _, set := range data.Set {
			l, err := s.v.list(set.URI)
			if err != nil {
				continue // no token that names this list is accepted
			}
			l.patch(set.Indices, change, s.v.cfg.Now())
		}
		if data.Keys {
			s.demandKeys()
		}
	case "reload":
		s.gap(e.id)
	}
	s.v.counts.events.Add(1)
	if e.numbered {
		s.last = e.id
		s.applied.Store(e.id + 1)
		s.caughtUp = s.caughtUp || e.id >= s.upTo
		s.heard()
		s.wakeAck()
	}
	return nil
}
