package keys

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// State is where a key is in its life.
type State string

// The states there are.
const (
	Published State = "published" // in the key set; does not sign yet
	Active    State = "active"    // signs
	Retired   State = "retired"   // signs no more; what it signed may be alive
	Gone      State = "gone"      // all that it signed has expired; still reads hints
	Withdrawn State = "withdrawn" // refused, with all that it signed
)

// Policy is the durations from which the states of keys follow, and the size of new keys.
type Policy struct {
	// Bits is the size of new RSA keys.
	Bits int
	// RotateEvery is how long a key signs.
	RotateEvery time.Duration
	// JWKSMaxAge is for how long the key set may be cached.
	JWKSMaxAge time.Duration
	// VerifierCache is for how long common verifiers cache it, whatever max-age says.
	VerifierCache time.Duration
	// Staleness is how old a process's copy of the rings can be.
	Staleness time.Duration
	// Skew is how much the clocks of two machines may differ.
	Skew time.Duration
	// LongestToken is the longest life of anything that a key of the ring
	// Tokens signs.
	LongestToken time.Duration
	// LongestRefresh is the longest life of a refresh token, which the other
	// ring signs.
	LongestRefresh time.Duration
	// LongestGrace is for how long after a rotation a client may present the refresh
	// token of before. It gets the same successor again, signed with the same key.
	LongestGrace time.Duration
	// LongestHint is for how long an ID token is accepted as a hint (id_token_hint),
	// although it has expired: as long as a login session can last.
	LongestHint time.Duration
}

// PublishAhead is how long a key of a ring is published before it may sign. After that
// time every verifier and every instance of this server has seen it.
func (p Policy) PublishAhead(ring Ring) time.Duration {
	ahead := p.Staleness + p.Skew
	if ring.published() {
		ahead += p.JWKSMaxAge + p.VerifierCache
	}
	return ahead
}

// keep is how long a key of a ring verifies after it has last signed.
func (p Policy) keep(ring Ring) time.Duration {
	longest := p.LongestToken
	if ring == Refresh {
		longest = max(longest, p.LongestRefresh)
	}
	return longest + p.Skew + p.Staleness
}

// keepPublic is how long the public half of a key of a ring is kept after it has
// last signed. Public keys of the ring Tokens are kept longer than their tokens live,
// because expired ID tokens are accepted as hints.
func (p Policy) keepPublic(ring Ring) time.Duration {
	if ring.published() {
		return max(p.keep(ring), p.LongestHint+p.Skew+p.Staleness)
	}
	return p.keep(ring)
}

// Status is a key with the state that follows from its times.
type Status struct {
	KID   string
	Ring  Ring
	State State

	PublishedAt, SignsFrom time.Time
	// RetiresAt is when the next key begins to sign, which may lie ahead; zero
	// while there is none.
	RetiresAt time.Time
	// GoneAt is when the last token that the key signed will have expired;
	// zero while RetiresAt is, and in the ring Audit: what it signed never expires.
	GoneAt time.Time
	// WithdrawnAt is zero unless the key was withdrawn.
	WithdrawnAt time.Time

	// forgottenAt is when its public half is not needed any more, not even for hints;
	// zero while RetiresAt is.
	forgottenAt time.Time
	record      Record
}

// Place returns a text by which keys sort as in List.
func (s Status) Place() string {
	return fmt.Sprintf("%02d %020d %020d", slices.Index(Rings(), s.Ring), s.SignsFrom.UnixMilli(), s.record.Ordinal)
}

// bySigning orders keys as they sign.
func bySigning(a, b Record) int {
	return cmp.Or(a.SignsFrom.Compare(b.SignsFrom), cmp.Compare(a.Ordinal, b.Ordinal))
}

// statuses computes the state of each record at the time now. It has no error: every set
// of records has states, and every process computes the same ones.
func statuses(records []Record, p Policy, now time.Time) []Status {
	list := make([]Status, len(records))
	// From the key that signs last to the first, so that the next key is known.
	order := make([]int, len(records))
	for i := range records {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return bySigning(records[b], records[a]) })
	next := map[Ring]Record{}
	for _, i := range order {
		r := records[i]
		s := Status{
			KID: r.KID, Ring: r.Ring, record: r,
			PublishedAt: r.PublishedAt, SignsFrom: r.SignsFrom, WithdrawnAt: r.WithdrawnAt,
		}
		follower, followed := next[r.Ring]
		if everSigned(r) {
			next[r.Ring] = r
		}
		if followed && r.WithdrawnAt.IsZero() {
			s.RetiresAt = follower.SignsFrom
		}
		if !s.RetiresAt.IsZero() && r.Ring != Audit {
			s.GoneAt = s.RetiresAt.Add(p.keep(r.Ring))
			s.forgottenAt = s.RetiresAt.Add(p.keepPublic(r.Ring))
		}
		switch {
		case !r.WithdrawnAt.IsZero():
			s.State = Withdrawn
		case now.Before(r.SignsFrom):
			s.State = Published
		case s.RetiresAt.IsZero() || now.Before(s.RetiresAt):
			s.State = Active
		case s.GoneAt.IsZero() || now.Before(s.GoneAt):
			s.State = Retired
		default:
			s.State = Gone
		}
		list[i] = s
	}
	return list
}

// everSigned reports whether a key signs at some time. A key that was withdrawn after it
// had begun to sign counts, so that the key before it stays retired and does not come
// back into the key set.
func everSigned(r Record) bool {
	return r.WithdrawnAt.IsZero() || !r.WithdrawnAt.Before(r.SignsFrom)
}

// ringStatus is the keys of one ring, with those that a decision asks for.
type ringStatus struct {
	all []Status
	// active signs now; nil if none does or if its private key is gone.
	active *Status
	// next signs after it; nil if there is none.
	next *Status
	last int64 // the highest ordinal
}

func ringOf(all []Status, ring Ring) ringStatus {
	var r ringStatus
	for _, s := range all {
		if s.Ring != ring {
			continue
		}
		r.all = append(r.all, s)
		r.last = max(r.last, s.record.Ordinal)
	}
	slices.SortFunc(r.all, func(a, b Status) int { return bySigning(a.record, b.record) })
	for i, s := range r.all {
		switch {
		case s.State == Active && s.record.Sealed != nil:
			r.active = &r.all[i]
		case s.State == Published && r.next == nil:
			r.next = &r.all[i]
		}
	}
	return r
}
