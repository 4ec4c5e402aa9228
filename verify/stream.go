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
	// silence is how long a stream may say nothing: heartbeats come every 15 s.
	silence = 40 * time.Second
	// maxEvent bounds an event.
	maxEvent = 4 << 20
	// slowestStream is how often a stream is tried that cannot be had,
	// refusedStream one that the server does not want us to have.
	slowestStream, refusedStream = 10 * time.Second, time.Minute
	// settled is how long a stream must have lasted for its end to be nothing
	// out of the ordinary.
	settled = 5 * time.Second
)

// stream is the connection over which the issuer tells what it revokes.
//
// What makes it work is the generation. Within one the server has told of
// every change, over however many connections; so a list that was fetched in it
// is as fresh as the stream's last byte. A gap begins the next, and each list
// has to be fetched again to be in it.
type stream struct {
	v         *Verifier
	coverage  atomic.Pointer[coverage]
	connected atomic.Bool
	// trouble is why there is no connection.
	trouble atomic.Pointer[string]

	// instance tells this process from replicas of the same name.
	instance string
	// listener is what the server called the last connection, until it is told that
	// this process leaves.
	listener atomic.Pointer[string]

	// What follows is run's alone. last is the id of the last event that was
	// applied; resumable says that there is one.
	last      uint64
	resumable bool
	// upTo is the id that the connection has to come to, to have told of all
	// that was set while there was none; caughtUp says that it has.
	upTo     uint64
	caughtUp bool

	// applied and acked are last, and what the server was told of it, plus one;
	// 0 is none.
	applied, acked atomic.Uint64
	// keysFrom is when the key set had to be fetched, in Unix nanoseconds.
	keysFrom atomic.Int64
	ackWake  chan struct{}
}

func newStream(v *Verifier, instance string) *stream {
	s := &stream{v: v, instance: instance, ackWake: make(chan struct{}, 1)}
	s.coverage.Store(&coverage{})
	return s
}

// errRefused: the server knows us and says no. errLost: what came makes no
// sense, so that nothing can be gone on from.
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
			// Most often the server has restarted, and everyone comes back.
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

// connect opens the stream and applies what it says until it ends.
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
		// The network's error only says that the connection was closed, by this end.
		return cause
	}
	return err
}

// open asks for the stream, from the last event on that was applied.
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
	// What compresses holds back until it has enough.
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

// read applies events until there are no more. It calls begun after the first, with the
// name by which the server knows the connection.
func (s *stream) read(r *bufio.Reader, begun func(listener string)) error {
	heartbeat := func() {
		// It comes when there is nothing else to be sent any more.
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

// authenticate names this API to its issuer (RFC 6749 section 2.3.1).
func (v *Verifier) authenticate(r *http.Request) {
	r.SetBasicAuth(url.QueryEscape(v.cfg.ClientID), url.QueryEscape(v.cfg.ClientSecret))
}

// hello begins a connection, and returns by what name the server knows it.
func (s *stream) hello(e sent) (listener string, err error) {
	var data struct {
		Listener string `json:"listener"`
	}
	if json.Unmarshal(e.data, &data) != nil || data.Listener == "" || !e.numbered {
		return "", fmt.Errorf("%w: hello", errLost)
	}
	if s.resumable && s.last <= e.id {
		// It goes on from the last event that was applied here. The id of hello
		// may be of later ones that are still to come: to go on from there
		// after the next cut would lose them.
		s.upTo, s.caughtUp = e.id, e.id == s.last
		s.heard()
	} else {
		// Nothing is known of what was set before; or the server's count began
		// anew, and what it sends goes on from somewhere else.
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

// apply does what an event says. All of it can be done twice, and in any order:
// bits are only ever set.
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
				continue // no token with it is accepted
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
