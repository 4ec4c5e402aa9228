package verify

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// listLimit is the shortest time between two fetches of a list that tokens cause.
	// Only tokens that the issuer has signed cause any.
	listLimit = time.Second
	// slowestPoll is the longest pause between attempts to fetch a list that fail.
	slowestPoll = 5 * time.Second
	// minPoll is the shortest time between two fetches of a list that succeed.
	minPoll = 250 * time.Millisecond
	// streamedRefresh is how often a list is fetched although the stream keeps it up
	// to date. It repairs the copy should something have gone wrong unnoticed.
	streamedRefresh = time.Minute
	// streamedLook is how often the keeper checks that the stream still keeps the list
	// up to date.
	streamedLook = 5 * time.Second
	// catchingUp is how long one instance of the server may take to learn of changes
	// that another has already sent.
	catchingUp = 10 * time.Second
)

// standing returns an error if a token, whose signature is good, was revoked, or if this
// process cannot tell.
func (v *Verifier) standing(ctx context.Context, t *Token) error {
	if t.status == nil || t.status.Index == nil || t.status.URI == "" {
		// The issuer puts a status into every token. A token without one is from
		// before it did so, or was made by someone who wants it to escape revocation.
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
	// A token that was revoked stays revoked, so an old list is good enough to say so.
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

// fresh reports whether a list is recent enough to accept tokens by it.
func (v *Verifier) fresh(s *snapshot) bool {
	now := v.cfg.Now()
	return age(now, v.asOf(s)) <= v.cfg.MaxStaleness && (s.expires.IsZero() || now.Before(s.expires))
}

// asOf returns the latest moment for which a list is known to be complete: when it was
// fetched, or the stream's last byte if the stream has told of every change since.
func (v *Verifier) asOf(s *snapshot) time.Time {
	if covered := v.stream.covers(s.generation); covered.After(s.asOf) {
		return covered
	}
	return s.asOf
}

// fetchList fetches a list, unless the stream keeps it up to date, and returns after
// how long to call it again.
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
		next = listLimit / 2 // it came from an instance that lags behind; that does not last
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

// streamed reports whether a list need not be fetched now, because the stream keeps it
// up to date. If nothing has come on the stream for half of MaxStaleness, since its
// heartbeats are rare or it is dead, lists are polled.
//
// A list without a change number is also polled while the stream's generation is young.
// Bits that were set just before the generation began are not sent on the stream, and
// may still be missing from a list that another instance of the server made.
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
		// The stream sends what is set from now on, but not what an old copy in a
		// cache on the way lacks.
		fresh: v.cfg.Status == StatusStream,
	}
	held := l.held.Load()
	if held != nil && (held.expires.IsZero() || begun.Before(held.expires)) && held.since(c.change) {
		r.etag = held.etag
	}
	doc, err := v.source.get(ctx, r)
	if errors.Is(err, errNotModified) {
		// The copy is current: as of now, or as of when a cache on the way asked.
		s := *held
		s.begun, s.asOf, s.generation = begun, begun.Add(-doc.age), c.generation
		return l.install(&s)
	}
	if err != nil {
		return nil, err
	}
	// The algorithm of this API's tokens is not that of the lists, which all APIs read.
	payload, err := v.opened(ctx, string(doc.body), "", nil, listType)
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
