package web

import (
	"context"
	"net/http"

	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/lists"
)

// Health is what readiness depends on.
type Health interface {
	// Ping asks the database for a sign of life.
	Ping(ctx context.Context) error
	// Draining reports that the server is about to stop.
	Draining() bool
	// Unwritable says in a few words why nothing can be written to the database;
	// empty while it can. It asks nobody.
	Unwritable() string
}

// live says that the process serves HTTP. It asks nothing else: restarting it
// would not mend a database.
func live(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, http.StatusOK, map[string]string{"status": "live"})
	return nil
}

// ready says whether to send traffic here. How the status lists are it only tells:
// without them this instance still issues, refreshes and introspects, of which a
// load balancer would deprive everyone if it sent nothing here; and whoever comes for
// a list and gets a 503 keeps the one that it has, and tries again, mostly elsewhere.
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
		// Tokens of clients would be issued still, and nobody could sign in, refresh or
		// revoke. Another server, or the database's next primary, may do better.
		return protocol.Refuse(protocol.TemporarilyUnavailable, "The server cannot write to its database: %s.", why)
	}
	if err := h.health.Ping(r.Context()); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"status": "ready", "status_lists": string(h.lists.State())})
	return nil
}
