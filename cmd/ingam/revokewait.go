package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/status/listeners"
)

// await waits for the listening verifiers, and prints for each whether it has applied
// the cut.
func (r *revoking) await(c *concerns) error {
	const unwaited = "it is revoked, but this command could not wait for the verifiers: %w"
	began := time.Now()
	bounded, cancel := context.WithTimeout(r.cmd.Context(), r.wait)
	defer cancel()
	done, missing, err := listeners.Await(bounded, c.store)
	if err != nil {
		return fmt.Errorf(unwaited, err)
	}
	took := time.Since(began)
	all := slices.Concat(done, missing)
	if len(all) == 0 {
		fmt.Fprintln(r.t.stdout, "no verifier is listening")
		return nil
	}
	heard, err := r.heard(c, all)
	if err != nil {
		return fmt.Errorf(unwaited, err)
	}
	applied := counted(int64(len(done)), "verifier")
	if len(done) > 0 {
		fmt.Fprintf(r.t.stdout, "applied by %s after %s:\n%s\n", applied, took.Round(time.Millisecond), heard.tell(done))
	}
	if len(missing) > 0 {
		return fmt.Errorf("it is revoked; within %s %s applied it. It was not applied by:\n%s", r.wait, applied, heard.tell(missing))
	}
	return nil
}

// heard is what is known of the verifiers that listen.
type heard struct {
	all []listeners.Listener
	// apis are the APIs that each client is, as text, by the client's id.
	apis map[string]string
	now  time.Time
}

func (r *revoking) heard(c *concerns, all []listeners.Listener) (h heard, err error) {
	ctx := r.cmd.Context()
	h = heard{all: all, apis: map[string]string{}}
	if h.now, err = c.store.Clock(ctx); err != nil {
		return h, err
	}
	for _, l := range all {
		client, err := c.store.Client(ctx, l.ClientID)
		if err != nil && !errors.Is(err, clients.ErrNotFound) {
			return h, err
		}
		apis := client.Introspects
		if len(apis) == 0 { // an older version registered it
			apis = client.Audiences
		}
		if len(apis) > 0 {
			h.apis[l.ClientID] = " (" + strings.Join(apis, " ") + ")"
		}
	}
	return h, nil
}

// tell returns one line for each verifier among the given connections.
func (h heard) tell(some []listeners.Listener) string {
	var lines []string
	for len(some) > 0 {
		first := some[0]
		ofOne := func(l listeners.Listener) bool { return l.ClientID == first.ClientID && l.Name == first.Name }
		of := func(all []listeners.Listener) (n int) {
			for _, l := range all {
				if ofOne(l) {
					n++
				}
			}
			return n
		}
		// Of several connections, the one that was not seen for longest.
		seen, connections := first.SeenAt, counted(int64(of(h.all)), "connection")
		if n := of(some); n < of(h.all) {
			connections = fmt.Sprintf("%d of %s", n, connections)
		}
		some = slices.DeleteFunc(some, func(l listeners.Listener) bool {
			if ofOne(l) && l.SeenAt.Before(seen) {
				seen = l.SeenAt
			}
			return ofOne(l)
		})
		lines = append(lines, fmt.Sprintf("%s of client %s%s: %s, last heard %s ago",
			first.Name, first.ClientID, h.apis[first.ClientID], connections, max(0, h.now.Sub(seen)).Round(time.Second)))
	}
	return strings.Join(lines, "\n")
}
