package verify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func (s *stream) wakeAck() {
	select {
	case s.ackWake <- struct{}{}:
	default:
	}
}

// fetched is called after a status list or the key set was fetched: an
// acknowledgement may have waited for it.
func (s *stream) fetched() { s.wakeAck() }

// acknowledge tells the server which event was applied last, again and again while
// the connection lasts. One message stands for all events up to that one. After a
// gap it is sent only when every list has been fetched again. Nothing in this
// process waits for it.
func (s *stream) acknowledge(ctx context.Context, cancel context.CancelCauseFunc, listener string) {
	failures, acked := 0, uint64(0)
	for {
		applied := s.applied.Load() // read before behind is asked: gap sets the generation first, this id after it
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

// leaveWait is how long Close tries at most to tell the server that it leaves.
const leaveWait = 2 * time.Second

// leave tells the server that this verifier has stopped. Without that message the
// server goes on waiting for it, since a connection that ends may only have been
// interrupted. A server too old to know the message reads it as an acknowledgement
// that it has already.
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
