package signin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/throttle"
)

// refusals counts refused sign-ins for the audit log. Each time that it is written, there
// is one event for each user and reason. So strangers who guess cannot fill the audit log:
// its rows grow with time, not with the number of guesses. (The server's log has each
// refusal, but is not kept as long.)
type refusals struct {
	store Store
	now   func() time.Time

	mu sync.Mutex
	of map[refusal]*refused
	// users is how many keys of that map have a user.
	users int
}

// The bounds of what strangers can cause to be written at a time.
const (
	// mostRefused is how many users with reasons have an event of their own. Further
	// users are counted together with unknown users.
	mostRefused = 200
	// mostAddresses is how many addresses an event names.
	mostAddresses = 5
)

// refusal is the key by which refused sign-ins are counted. Without a user it stands for
// all unknown users.
type refusal struct {
	userID string
	reason Reason
}

// refused is the count for one key.
type refused struct {
	since, until time.Time
	count        int
	addresses    []string
	// elsewhere is how many refusals came from addresses that are not in addresses.
	elsewhere int
}

// newRefusals returns empty counts.
func newRefusals(store Store, now func() time.Time) *refusals {
	return &refusals{store: store, now: now, of: map[refusal]*refused{}}
}

// note counts err, an error of SignIn, if it is a refusal.
func (r *refusals) note(err error, address string) {
	var of refusal
	var wrong *WrongError
	var tooMany *throttle.TooManyError
	switch {
	case errors.As(err, &tooMany):
		of = refusal{tooMany.UserID, ReasonThrottled}
	case errors.As(err, &wrong):
		of = refusal{wrong.UserID, wrong.Reason}
	default:
		return
	}
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(of, &refused{since: now, until: now, count: 1, addresses: []string{address}})
}

func (r *refusals) add(of refusal, more *refused) {
	known, ok := r.of[of]
	if !ok && of.userID != "" && r.users >= mostRefused {
		of.userID = ""
		known, ok = r.of[of]
	}
	if !ok {
		if of.userID != "" {
			r.users++
		}
		r.of[of] = more
		return
	}
	if more.since.Before(known.since) {
		known.since = more.since
	}
	if more.until.After(known.until) {
		known.until = more.until
	}
	known.count += more.count
	known.elsewhere += more.elsewhere
	for _, address := range more.addresses {
		switch {
		case slices.Contains(known.addresses, address):
		case len(known.addresses) < mostAddresses:
			known.addresses = append(known.addresses, address)
		default:
			known.elsewhere++
		}
	}
}

// write writes to the audit log what was counted since the last time. If that fails, the
// counts are kept.
func (r *refusals) write(ctx context.Context) error {
	r.mu.Lock()
	counted := r.of
	r.of, r.users = map[refusal]*refused{}, 0
	r.mu.Unlock()
	if len(counted) == 0 {
		return nil
	}
	events := make([]audit.Event, 0, len(counted))
	for _, of := range slices.SortedFunc(maps.Keys(counted), func(a, b refusal) int {
		return cmp.Or(counted[a].until.Compare(counted[b].until), cmp.Compare(a.userID, b.userID), cmp.Compare(a.reason, b.reason))
	}) {
		events = append(events, counted[of].event(of))
	}
	if err := r.store.Record(ctx, events); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for of, more := range counted {
			r.add(of, more)
		}
		return fmt.Errorf("write down who was not signed in: %w", err)
	}
	return nil
}

func (r *refused) event(of refusal) audit.Event {
	details := map[string]string{
		"count": strconv.Itoa(r.count), "since": r.since.UTC().Format(time.RFC3339), "addresses": strings.Join(r.addresses, " "),
	}
	if r.elsewhere > 0 {
		details["from_further_addresses"] = strconv.Itoa(r.elsewhere)
	}
	return audit.Event{At: r.until, Actor: audit.Server, Action: audit.SignInRefused, Subject: of.userID, Reason: string(of.reason), Details: details}
}
