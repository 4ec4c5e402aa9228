package verify

import (
	"bufio"
	"bytes"
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

// coverage is a generation, when and with which change of the server it began,
// its last byte, and that of the one before.
type coverage struct {
	generation      uint64
	change          uint64
	begun, lastByte time.Time
	before          time.Time
}

func newStream(v *Verifier, instance string) *stream {
	s := &stream{v: v, instance: instance, ackWake: make(chan struct{}, 1)}
	s.coverage.Store(&coverage{})
	return s
}

func (s *stream) generation() uint64 { return s.coverage.Load().generation }

// covers is up to when a list of that generation is known to be complete; the
// zero time if that is not known.
func (s *stream) covers(generation uint64) time.Time {
	c := s.coverage.Load()
	switch {
	case generation == 0:
		return time.Time{}
	case generation == c.generation:
		return c.lastByte
	case generation+1 == c.generation:
		return c.before
	}
	return time.Time{}
}

// heard is called when something has come, and was applied. It does not count
// before the connection has caught up: to have heard that the server is there
// again is not to know what it did meanwhile.
func (s *stream) heard() {
	if !s.caughtUp {
		return
	}
	c := *s.coverage.Load()
	c.lastByte = s.v.cfg.Now()
	s.coverage.Store(&c)
}

// gap begins a generation. Lists of the one before are complete up to what was
// last heard in it, and not up to what has told of the gap.
func (s *stream) gap(change uint64) {
	c := s.coverage.Load()
	now := s.v.cfg.Now()
	s.coverage.Store(&coverage{c.generation + 1, change, now, now, c.lastByte})
	s.caughtUp = true
	s.v.lists.refetch()
	s.demandKeys()
}

// lagging is how long another instance of the server may take to know of what
// the one that streams has told.
const lagging = 3 * time.Second

// demandKeys has the key set fetched at once, since a key may have been withdrawn;
// and once more soon, should it come from an instance that does not know yet.
func (s *stream) demandKeys() {
	s.keysFrom.Store(s.v.cfg.Now().UnixNano())
	s.v.keyKeeper.demand()
	time.AfterFunc(lagging, s.v.keyKeeper.demand)
}

// lacksKeys reports whether the key set was not fetched since it had to be.
func (s *stream) lacksKeys() bool {
	set := s.v.keys.Load()
	return set == nil || set.begun.UnixNano() < s.keysFrom.Load()
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
	because := func(err error) error {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return err
	}

	events, err := url.Parse(m.Events)
	if err != nil {
		return errors.New("the address of the status stream cannot be used")
	}
	query := events.Query()
	query.Set("verifier", s.v.cfg.Name)
	query.Set("instance", s.instance)
	events.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, events.String(), nil)
	if err != nil {
		return errors.New("the address of the status stream cannot be used")
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
		return because(err)
	}
	defer resp.Body.Close()
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%w: %s (ClientID and ClientSecret, and what that client may do)", errRefused, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the server answered %s", resp.Status)
	case strings.TrimSpace(kind) != "text/event-stream":
		return errors.New("the server answered with something else than a stream")
	}

	r := bufio.NewReader(&listener{resp.Body, func() { watchdog.Reset(silence) }})
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
			return because(err)
		}
		if first != (e.kind == "hello") {
			return fmt.Errorf("%w: hello is the first event and no other", errLost)
		}
		if first {
			var id string
			if id, err = s.hello(e); err == nil {
				acknowledging.Go(func() { s.acknowledge(ctx, cancel, id) })
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

func (s *stream) wakeAck() {
	select {
	case s.ackWake <- struct{}{}:
	default:
	}
}

// fetched is called when a list or the key set was, since an acknowledgement may
// have waited for it.
func (s *stream) fetched() { s.wakeAck() }

// acknowledge tells the server up to where events were applied, as long as the
// connection lasts: the last one only, however many there were, and after a
// gap only when every list was fetched again. Nothing waits for it.
func (s *stream) acknowledge(ctx context.Context, cancel context.CancelCauseFunc, listener string) {
	failures, acked := 0, uint64(0)
	for {
		applied := s.applied.Load() // before behind: a gap is begun before its id is here
		if applied != acked && !s.v.lists.behind(s.generation()) && !s.lacksKeys() {
			switch err := s.postAck(ctx, listener, applied-1, false); {
			case err == nil:
				failures, acked = 0, applied
				s.acked.Store(applied)
				s.v.counts.acks.Add(1)
				continue
			case errors.Is(err, errForgot):
				cancel(err)
				return
			case ctx.Err() == nil:
				failures++
				if failures == 1 {
					s.v.cfg.Logger.Warn("the server cannot be told what was applied", "error", err)
				}
				s.v.counts.ackFailures.Add(1)
				timer := time.NewTimer(backoff(failures, 250*time.Millisecond, 5*time.Second))
				select {
				case <-timer.C:
				case <-ctx.Done():
				}
				timer.Stop()
				if ctx.Err() == nil {
					continue
				}
			}
		}
		select {
		case <-s.ackWake:
		case <-ctx.Done():
			return
		}
	}
}

// leaveWait is how long Close takes at most to say so.
const leaveWait = 2 * time.Second

// leave tells the server that nobody is behind the last connection any more. A
// connection that only ends may be one that broke, whose verifier goes on and is
// waited for. A server that knows no such message takes it for an acknowledgement
// of what it knows already.
func (s *stream) leave() {
	listener := s.listener.Swap(nil)
	if listener == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveWait)
	defer cancel()
	if err := s.postAck(ctx, *listener, max(s.acked.Load(), 1)-1, true); err != nil && !errors.Is(err, errForgot) {
		s.v.cfg.Logger.Warn("the server could not be told that this verifier leaves", "error", err)
	}
}

func (s *stream) postAck(ctx context.Context, listener string, id uint64, leaving bool) error {
	m := s.v.meta.Load()
	if m.Ack == "" {
		return errors.New("the server has no endpoint for it")
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	form := url.Values{"listener": {listener}, "id": {strconv.FormatUint(id, 10)}}
	if leaving {
		form.Set("leaving", "true")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Ack, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("the address cannot be used")
	}
	s.v.authenticate(req)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := s.v.source.client.Do(req)
	if err != nil {
		return err
	}
	resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotFound:
		return errForgot
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("the server answered %s", resp.Status)
	}
	return nil
}

// listener tells of every byte that is read.
type listener struct {
	io.Reader
	heard func()
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.heard()
	}
	return n, err
}

// sent is an event as it came.
type sent struct {
	kind     string
	id       uint64
	numbered bool
	data     []byte
}

// readEvent reads the next event that has data (HTML Living Standard section
// 9.2.6), and calls heartbeat for each comment. An event that has an id that is
// no number is errLost.
func readEvent(r *bufio.Reader, heartbeat func()) (sent, error) {
	var e sent
	size, hasData := 0, false
	for {
		line, err := readLine(r, maxEvent-size)
		if err != nil {
			return sent{}, err
		}
		size += len(line) + 1
		if len(line) == 0 {
			if hasData {
				return e, nil
			}
			e, size = sent{}, 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "":
			size -= len(line) + 1
			heartbeat()
		case "event":
			e.kind = string(value)
		case "data":
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
			hasData = true
		case "id":
			if e.id, err = strconv.ParseUint(string(value), 10, 63); err != nil {
				return sent{}, fmt.Errorf("%w: an id", errLost)
			}
			e.numbered = true
		}
	}
}

// readLine reads a line that ends with LF or CRLF, without its end.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return nil, fmt.Errorf("%w: an event is longer than %d bytes", errLost, maxEvent)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
	}
}
