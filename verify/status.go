package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// listLimit is how often tokens can have a list fetched that could not be.
	// Only tokens that the issuer has signed can.
	listLimit = time.Second
	// slowestPoll is how often a list is tried that cannot be fetched.
	slowestPoll = 5 * time.Second
	// minPoll is how often a list is fetched at the most.
	minPoll = 250 * time.Millisecond
	// streamedRefresh is how often a list is fetched that the stream keeps up
	// to date: it is not needed, and heals what went wrong unseen.
	streamedRefresh = time.Minute
	// streamedLook is how often it is looked whether the stream still does.
	streamedLook = 5 * time.Second
	// catchingUp is how long one instance of the server may take to know what
	// another has told.
	catchingUp = 10 * time.Second
)

// standing checks the status of a token whose signature is good.
func (v *Verifier) standing(ctx context.Context, t *Token) error {
	if t.status == nil || t.status.Index == nil || t.status.URI == "" {
		// The issuer puts a status into every token. One without was made
		// before it did, or by something that is to escape revocation.
		return invalid(byStatus, "it has no status")
	}
	index := *t.status.Index
	l, err := v.list(t.status.URI)
	if err != nil {
		return invalid(byStatus, "its status list is not of the issuer's origin")
	}
	begins := v.keep(l)
	held := l.held.Load()
	if held == nil || begins && !v.fresh(held) {
		v.wait(ctx, l.keeper.ask())
		held = l.held.Load()
	}
	if held == nil {
		switch {
		case l.remembers(index):
			return revoked
		case v.cfg.FailOpen:
			v.counts.failedOpen.Add(1)
			return nil
		}
		if err := l.keeper.failure(); err != nil {
			return unavailableFor("its status list could not be fetched", err)
		}
		return unavailable("its status list could not be fetched in time")
	}
	if index >= held.size {
		return invalid(byStatus, "its status list does not have its index")
	}
	// What was revoked stays so; this needs no fresh list.
	if held.at(index) != 0 {
		return revoked
	}
	if v.fresh(held) {
		return nil
	}
	if v.cfg.FailOpen {
		v.counts.failedOpen.Add(1)
		return nil
	}
	return unavailable("what is known of its status is too old")
}

// fresh reports whether a list may be gone by.
func (v *Verifier) fresh(s *snapshot) bool {
	now := v.cfg.Now()
	return age(now, v.asOf(s)) <= v.cfg.MaxStaleness && (s.expires.IsZero() || now.Before(s.expires))
}

// asOf is the moment for which a list is known to be the issuer's word: that
// of its fetching, or the last byte of the stream if that has been told of
// every change since.
func (v *Verifier) asOf(s *snapshot) time.Time {
	if covered := v.stream.covers(s.generation); covered.After(s.asOf) {
		return covered
	}
	return s.asOf
}

// fetchList fetches a list once.
func (v *Verifier) fetchList(ctx context.Context, l *list) (time.Duration, error) {
	s := l.held.Load()
	if v.streamed(s) {
		return min(v.cfg.MaxStaleness/4, streamedLook), nil
	}
	v.counts.listFetches.Add(1)
	s, err := v.refreshList(ctx, l)
	l.mu.Lock()
	l.gone = errors.Is(err, errGone)
	l.mu.Unlock()
	v.stream.fetched()
	if err != nil {
		v.counts.listFailures.Add(1)
		return 0, err
	}
	next := v.cfg.MaxStaleness / 4
	switch {
	case v.cfg.Status == StatusStream && s.generation == 0:
		next = listLimit / 2 // from an instance that is behind; not for long
	case v.cfg.Status == StatusStream:
		next = min(next, streamedLook)
	case s.ttl > 0:
		next = min(next, s.ttl)
	}
	if !s.expires.IsZero() {
		next = min(next, s.expires.Sub(v.cfg.Now())/2)
	}
	return max(next, minPoll), nil
}

// streamed reports whether a list needs no fetching: the stream, or the last
// time it was fetched, vouch for it for long enough. Where the stream says
// nothing for half of what may pass, be it that its heartbeats are rare or that
// it is dead, lists are polled.
//
// They also are while a generation is young and they do not say up to which
// change they go. What was set just before it began is not told on the stream,
// and may not be in a list yet that comes from another instance of the server
// than the stream does.
func (v *Verifier) streamed(s *snapshot) bool {
	now, c := v.cfg.Now(), v.stream.coverage.Load()
	return v.cfg.Status == StatusStream && s != nil && s.generation == c.generation &&
		(s.change != nil || age(s.begun, c.begun) >= catchingUp) &&
		age(now, v.asOf(s)) < v.cfg.MaxStaleness/2 && age(now, s.begun) < max(streamedRefresh, s.ttl) &&
		(s.expires.IsZero() || s.expires.Sub(now) > s.expires.Sub(s.begun)/2)
}

func (v *Verifier) refreshList(ctx context.Context, l *list) (*snapshot, error) {
	c := v.stream.coverage.Load()
	begun := v.cfg.Now()
	r := request{
		url: l.uri, accept: "application/" + listType, limit: 2*v.cfg.MaxListBytes + maxDocument,
		// The stream tells what is set from now on, not what a cache on the way
		// has missed.
		fresh: v.cfg.Status == StatusStream,
	}
	held := l.held.Load()
	if held != nil && (held.expires.IsZero() || begun.Before(held.expires)) && held.since(c.change) {
		r.etag = held.etag
	}
	doc, err := v.source.get(ctx, r)
	if errors.Is(err, errNotModified) {
		// The copy stands, as of now or when a cache on the way was told so.
		s := *held
		s.begun, s.asOf, s.generation = begun, begun.Add(-doc.age), c.generation
		return l.install(&s)
	}
	if err != nil {
		return nil, err
	}
	payload, err := v.opened(ctx, string(doc.body), listType)
	if err != nil {
		return nil, fmt.Errorf("it does not check: %w", err)
	}
	s, err := v.cfg.readList(payload, l.uri, v.cfg.Now())
	if err != nil {
		return nil, err
	}
	s.etag, s.begun, s.asOf = doc.etag, begun, begun
	if s.since(c.change) {
		s.generation = c.generation
	}
	if s.issued.Before(begun) {
		s.asOf = s.issued
	}
	return l.install(s)
}
