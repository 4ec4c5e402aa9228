package administration

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/status/listeners"
)

// Applied says which of the listening verifiers have applied the last cut.
type Applied struct {
	By, Missing []Verifier
	// Waited is how long it took to know.
	Waited time.Duration
}

// Verifier is some of the connections over which a verifier listens.
type Verifier struct {
	ClientID, Name string
	// APIs are those that the client is.
	APIs []string
	// Connections is how many of them these are, and Of how many there are in all.
	Connections, Of int
	// Silent is for how long nothing was heard of the one that was heard of last.
	Silent time.Duration
}

// answerTime is how long before a request is given up its answer has to be on its way.
const answerTime = time.Second

// Await waits until every listening verifier has applied the last cut, for at most that
// time, and not longer than the request may take.
func (c *Cuts) Await(ctx context.Context, most time.Duration) (Applied, error) {
	began := time.Now()
	if deadline, bounded := ctx.Deadline(); bounded {
		most = min(most, time.Until(deadline)-answerTime)
	}
	bounded, cancel := context.WithTimeout(ctx, max(most, time.Millisecond))
	defer cancel()
	done, missing, err := listeners.Await(bounded, c.Store)
	if err != nil {
		return Applied{}, err
	}
	applied := Applied{Waited: time.Since(began)}
	all := slices.Concat(done, missing)
	if len(all) == 0 {
		return applied, nil
	}
	now, err := c.Store.Clock(ctx)
	if err != nil {
		return Applied{}, err
	}
	if applied.By, err = c.verifiers(ctx, done, all, now); err != nil {
		return Applied{}, err
	}
	applied.Missing, err = c.verifiers(ctx, missing, all, now)
	return applied, err
}

// verifiers puts together the connections of each verifier among some of all of them.
func (c *Cuts) verifiers(ctx context.Context, some, all []listeners.Listener, now time.Time) (list []Verifier, err error) {
	for len(some) > 0 {
		first := some[0]
		ofOne := func(l listeners.Listener) bool { return l.ClientID == first.ClientID && l.Name == first.Name }
		v := Verifier{ClientID: first.ClientID, Name: first.Name}
		for _, l := range all {
			if ofOne(l) {
				v.Of++
			}
		}
		if v.APIs, err = c.apisOf(ctx, v.ClientID); err != nil {
			return nil, err
		}
		some = slices.DeleteFunc(slices.Clone(some), func(l listeners.Listener) bool {
			if !ofOne(l) {
				return false
			}
			v.Connections++
			v.Silent = max(v.Silent, now.Sub(l.SeenAt))
			return true
		})
		list = append(list, v)
	}
	return list, nil
}

// apisOf returns the APIs that a client is; none if there is no such client any more.
func (c *Cuts) apisOf(ctx context.Context, client string) ([]string, error) {
	stored, err := c.Clients.Stored(ctx, client)
	if errors.Is(err, clients.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if len(stored.Introspects) == 0 { // an older version registered it
		return stored.Audiences, nil
	}
	return stored.Introspects, nil
}
