package listeners

import (
	"context"
	"time"
)

// awaitInterval is how often Await asks who has acknowledged.
const awaitInterval = 50 * time.Millisecond

// Await waits until every connected verifier has applied the last revocation, or until
// ctx ends. It returns the listeners that have acknowledged it, and those that have not.
// Each replica of a verifier is a listener of its own.
func Await(ctx context.Context, store Acknowledged) (done, missing []Listener, err error) {
	// Until there is a first answer the wait does not end: that nobody listens would be told
	// otherwise, where the database was slow.
	asking := context.WithoutCancel(ctx)
	n, err := store.LastCut(asking)
	if err != nil {
		return nil, nil, err
	}
	for ; ; asking = ctx {
		all, err := store.Listeners(asking, Unseen)
		if err != nil {
			// ctx may have ended during the query: then the previous answer counts.
			if ctx.Err() != nil {
				return done, missing, nil
			}
			return nil, nil, err
		}
		done, missing = nil, nil
		for _, l := range all {
			if l.Acknowledged >= n {
				done = append(done, l)
			} else {
				missing = append(missing, l)
			}
		}
		if len(missing) == 0 {
			return done, nil, nil
		}
		select {
		case <-ctx.Done():
			return done, missing, nil
		case <-time.After(awaitInterval):
		}
	}
}
