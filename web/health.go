package web

import (
	"context"
	"net/http"

	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/lists"
)

// Health is what the health endpoints ask about.
type Health interface {
	// Ping checks that the database answers.
	Ping(ctx context.Context) error
	// Draining reports whether the server is about to stop.
	Draining() bool
	// Unwritable says in a few words why the database cannot be written to; empty if it
	// can. It returns the result of the last check, without asking the database.
	Unwritable() string
}

// live answers that the process serves HTTP. It checks nothing else: restarting the
// process would not repair a database.
func live(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "live"})
	return nil
}

// ready answers whether to send traffic to this instance. It reports the state of the
// status lists but does not depend on it. Without the lists this instance still issues,
// refreshes and introspects; a load balancer that took it out would take all that away
// from everyone. A verifier that gets a 503 for a list keeps the one it has and tries
// again, most likely at another instance.
type ready struct {
	health  Health
	watcher Freshness
	lists   *lists.Lists
}

func (h ready) get(w http.ResponseWriter, r *http.Request) error {
	switch {
	case h.health.Draining():
		return protocol.Refuse(protocol.TemporarilyUnavailable, "The server is stopping.")
	case h.watcher.Behind() > 0:
		return protocol.Refuse(protocol.TemporarilyUnavailable, "The server cannot read changes from its database.")
	}
	if why := h.health.Unwritable(); why != "" {
		// Without writing, clients would still get tokens, but nobody could sign in,
		// refresh or revoke. Another instance, or the database's next primary, may be
		// able to.
		return protocol.Refuse(protocol.TemporarilyUnavailable, "The server cannot write to its database: %s.", why)
	}
	if err := h.health.Ping(r.Context()); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready", "status_lists": string(h.lists.State())})
	return nil
}
