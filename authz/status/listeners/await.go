package listeners

import (
	"context"
	"time"
)

// awaitInterval is how often it is looked who has acknowledged.
const awaitInterval = 50 * time.Millisecond

// Await waits until every verifier that is connected has applied the last cut
// that was made, or ctx ends. It returns the connections over which that was
// acknowledged, and those over which it was not: replicas of one name are as many.
func Await(ctx context.Context, store Acknowledged) (done, missing []Listener, err error) {
	n, err := store.LastCut(ctx)
	if err != nil {
		return nil, nil, err
	}
	for {
		all, err := store.Listeners(ctx, Unseen)
		if err != nil {
			// The time may be over in the middle of asking; what was found last holds.
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
