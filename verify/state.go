package verify

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// State is the health of a Verifier, in numbers. To publish it:
//
//	expvar.Publish("ingam", expvar.Func(func() any { return v.State() }))
//
// or, for Prometheus, a Collector that calls State once and makes a gauge or a
// counter of each number.
type State struct {
	// Ready says that good tokens are accepted. Why says why they are not, or what
	// is failing although they still are.
	Ready bool   `json:"ready"`
	Why   string `json:"why,omitempty"`

	// Keys is how many keys of the issuer are in memory, KeyAge how long ago the
	// issuer vouched for them.
	Keys   int     `json:"keys"`
	KeyAge float64 `json:"key_age_seconds"`

	// Lists is how many status lists are kept up to date in memory, StatusAge how
	// long ago the issuer vouched for the oldest of them: a revocation since then may
	// not be known here. It is 0 if there is no list.
	Lists     int     `json:"lists"`
	StatusAge float64 `json:"status_age_seconds"`

	// StreamConnected says that the stream is connected. LastEventID is the id of the
	// last event that was applied here; AckedEventID, of the last one that was
	// acknowledged to the issuer on this connection.
	StreamConnected bool   `json:"stream_connected"`
	LastEventID     uint64 `json:"last_event_id"`
	AckedEventID    uint64 `json:"acked_event_id"`

	// The numbers below are counters: they only grow.

	// Verified is how many tokens were accepted. FailedOpen is how many of these had a
	// status that was older than MaxStaleness; see Config.FailOpen.
	Verified   uint64 `json:"verified"`
	FailedOpen uint64 `json:"failed_open"`
	// Refused is how many tokens and requests were refused, by reason.
	Refused        map[string]uint64 `json:"refused"`
	KeyFetches     uint64            `json:"key_fetches"`
	KeyFailures    uint64            `json:"key_failures"`
	ListFetches    uint64            `json:"list_fetches"`
	ListFailures   uint64            `json:"list_failures"`
	StreamFailures uint64            `json:"stream_failures"`
	Events         uint64            `json:"events"`
	Acks           uint64            `json:"acks"`
	AckFailures    uint64            `json:"ack_failures"`
}

type counts struct {
	verified, failedOpen                               atomic.Uint64
	refused                                            [reasons]atomic.Uint64
	keyFetches, keyFailures, listFetches, listFailures atomic.Uint64
	streamFailures, events, acks, ackFailures          atomic.Uint64
}

// refuse counts a refusal.
func (c *counts) refuse(err error) {
	var r *refusal
	if errors.As(err, &r) {
		c.refused[r.by].Add(1)
	}
}

// State returns the health of the Verifier. A call takes about a microsecond.
func (v *Verifier) State() State {
	now := v.cfg.Now()
	c := &v.counts
	s := State{
		Ready:           true,
		StreamConnected: v.stream.connected.Load(),
		Verified:        c.verified.Load(), FailedOpen: c.failedOpen.Load(),
		Refused:    map[string]uint64{},
		KeyFetches: c.keyFetches.Load(), KeyFailures: c.keyFailures.Load(),
		ListFetches: c.listFetches.Load(), ListFailures: c.listFailures.Load(),
		StreamFailures: c.streamFailures.Load(), Events: c.events.Load(),
		Acks: c.acks.Load(), AckFailures: c.ackFailures.Load(),
	}
	for i := range c.refused {
		if n := c.refused[i].Load(); n > 0 {
			s.Refused[names[i]] = n
		}
	}
	if n := v.stream.applied.Load(); n > 0 {
		s.LastEventID = n - 1
	}
	if n := v.stream.acked.Load(); n > 0 {
		s.AckedEventID = n - 1
	}

	// The later of these overwrites Why: keys matter more than lists.
	s.ofStatus(v, now)
	s.ofKeys(v, now)
	return s
}

// ofStatus fills in what concerns status lists and the stream.
func (s *State) ofStatus(v *Verifier, now time.Time) {
	if why := v.stream.trouble.Load(); why != nil && v.cfg.Status == StatusStream {
		s.Why = "the status stream is down, so status lists are polled: " + *why
	}
	stale, missing, expired := false, false, false
	for _, l := range v.lists.all() {
		held := l.held.Load()
		if !l.kept.Load() {
			continue
		}
		if held == nil {
			missing = missing || l.keeper.failure() != nil
			continue
		}
		s.Lists++
		s.StatusAge = max(s.StatusAge, age(now, v.asOf(held)).Seconds())
		stale = stale || !v.fresh(held)
		expired = expired || !held.expires.IsZero() && !now.Before(held.expires)
	}
	if stale || missing {
		why := "a status list could not be fetched yet"
		if stale {
			why = fmt.Sprintf("what is known of a status list is %s old", time.Duration(s.StatusAge*1e9).Round(time.Second))
		}
		if expired {
			why += ", and it has expired"
		}
		if v.cfg.FailOpen {
			s.Why = why + ": tokens are accepted that are not known to be revoked"
		} else {
			s.Ready, s.Why = false, why+": tokens of that list cannot be checked"
		}
	}
}

// ofKeys fills in what concerns the issuer's keys.
func (s *State) ofKeys(v *Verifier, now time.Time) {
	keys := v.keys.Load()
	if keys != nil {
		s.Keys, s.KeyAge = len(keys.keys), age(now, keys.asOf).Seconds()
		if err := v.keyKeeper.failure(); err != nil && s.Why == "" {
			s.Why = "the issuer's keys cannot be refreshed: " + err.Error()
		}
	}
	if err := v.usable(keys, now); err != nil {
		s.Ready, s.Why = false, err.Error()
	}
}
