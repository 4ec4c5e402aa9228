package revocation_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

var (
	noon  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	later = noon.Add(time.Hour)
	end   = noon.Add(1000 * time.Hour)
)

// world is a database in which client c holds grant g of user u.
type world struct {
	*testing.T
	ctx   context.Context
	store *storage.Store
	cuts  *revocation.Cuts
}

func newWorld(t *testing.T) *world {
	t.Helper()
	store, err := storage.Open(t.Context(), storagetest.Engines()[0].NewURL(t), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{t, t.Context(), store, revocation.NewCuts(store, func() time.Time { return later })}
	ev := audit.Event{At: noon}
	w.must(store.Migrate(w.ctx))
	w.must(store.CreateUser(w.ctx, accounts.User{ID: "u", Username: "u"}, ev))
	w.must(store.CreateAPI(w.ctx, apis.API{ID: "a", Audience: "a", Scopes: []string{"read"}}, ev))
	w.must(store.CreateClient(w.ctx, clients.Client{ID: "c", Audiences: []string{"a"}, Scopes: []string{"read"}, CreatedAt: noon}, ev))
	u, err := store.User(w.ctx, "u")
	w.must(err)
	hash := sha256.Sum256([]byte("g"))
	w.must(store.BeginSession(w.ctx, sessions.Session{ID: "s", UserID: "u", UserEpoch: u.Epoch, IdleAt: end, ExpiresAt: end}, hash, hash, ev))
	w.must(store.SaveCode(w.ctx, hash, grants.Code{ClientID: "c", SessionID: "s", ExpiresAt: end}, noon))
	code, err := store.Code(w.ctx, hash)
	w.must(err)
	w.must(store.RedeemCode(w.ctx, hash, noon, grants.Grant{
		ID: "g", ClientID: "c", UserID: "u", SessionID: "s", CreatedAt: noon, ExpiresAt: end,
		UserEpoch: code.UserEpoch, ClientEpoch: code.ClientEpoch, ServerEpoch: code.ServerEpoch,
		Refresh: grants.Refresh{Generation: 1, KeyID: "k", IssuedAt: noon, ExpiresAt: end},
	}))
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// events returns the audit log without the events of creating the world.
func (w *world) events() (events []audit.Event) {
	w.Helper()
	for ev, err := range audit.Read(w.ctx, w.store, audit.Query{Since: later}) {
		w.must(err)
		events = append(events, ev.Event)
	}
	return events
}

// stands reports whether grant g stands.
func (w *world) stands() bool {
	w.Helper()
	would, err := w.cuts.WouldEnd(w.ctx, changes.Grant, "g")
	w.must(err)
	return would.Grants == 1
}

func TestEachCutEndsWhatItIsOfAndNamesItsActor(t *testing.T) {
	t.Parallel()
	operator := audit.Operator("o")
	for name, c := range map[string]struct {
		cut    func(ctx context.Context, c *revocation.Cuts) error
		event  audit.Event
		stands bool
	}{
		"a grant, by an operator": {
			cut:   func(ctx context.Context, c *revocation.Cuts) error { return c.Grant(ctx, "g", "", "left", operator) },
			event: audit.Event{Actor: operator, Action: audit.GrantCut, Subject: "g", Reason: "left"},
		},
		"a grant, by its client": {
			cut: func(ctx context.Context, c *revocation.Cuts) error {
				return c.Grant(ctx, "g", "c", "", audit.Client("c"))
			},
			event: audit.Event{Actor: "client:c", Action: audit.GrantCut, Subject: "g", Details: map[string]string{"client_id": "c"}},
		},
		"a grant whose refresh token was used again": {
			cut:   func(ctx context.Context, c *revocation.Cuts) error { return c.RefreshReused(ctx, "g", "c", "u") },
			event: audit.Event{Actor: "client:c", Action: audit.GrantReused, Subject: "g", Details: map[string]string{"client_id": "c", "user": "u"}},
		},
		"a grant whose code was used again": {
			cut:   func(ctx context.Context, c *revocation.Cuts) error { return c.CodeReused(ctx, "g", "c", "u") },
			event: audit.Event{Actor: "client:c", Action: audit.CodeReused, Subject: "g", Details: map[string]string{"client_id": "c", "user": "u"}},
		},
		"a client": {
			cut:   func(ctx context.Context, c *revocation.Cuts) error { return c.Client(ctx, "c", "leaked", operator) },
			event: audit.Event{Actor: operator, Action: audit.ClientCut, Subject: "c", Reason: "leaked"},
		},
		"a user": {
			cut:   func(ctx context.Context, c *revocation.Cuts) error { return c.User(ctx, "u", "stolen", operator) },
			event: audit.Event{Actor: operator, Action: audit.UserCut, Subject: "u", Reason: "stolen"},
		},
		"everything": {
			cut:   func(ctx context.Context, c *revocation.Cuts) error { return c.Everything(ctx, "all", operator) },
			event: audit.Event{Actor: operator, Action: audit.EverythingCut, Reason: "all"},
		},
		"a token of the client's own": {
			cut: func(ctx context.Context, c *revocation.Cuts) error {
				return c.Token(ctx, "t", "c", end, status.Ref{}, "logged", operator)
			},
			event:  audit.Event{Actor: operator, Action: audit.TokenCut, Subject: "t", Reason: "logged", Details: map[string]string{"client_id": "c"}},
			stands: true,
		},
		"nothing, after a restore": {
			cut: func(ctx context.Context, c *revocation.Cuts) error {
				return c.Restored(ctx, map[string]string{"file": "f"}, "the disk", operator)
			},
			event:  audit.Event{Actor: operator, Action: audit.DatabaseRestored, Reason: "the disk", Details: map[string]string{"file": "f"}},
			stands: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if !w.stands() {
				t.Fatal("the grant does not stand before the cut")
			}
			w.must(c.cut(w.ctx, w.cuts))
			if w.stands() != c.stands {
				t.Errorf("the grant stands: %t", !c.stands)
			}
			c.event.At = later
			if diff := cmp.Diff([]audit.Event{c.event}, w.events(), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(audit.Event{}, "ID"), cmpopts.EquateApproxTime(0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAGrantIsCutOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must(w.cuts.Grant(w.ctx, "g", "c", "", audit.Client("c")))
	before, err := w.store.ChangeNumber(w.ctx)
	w.must(err)
	w.must(w.cuts.RefreshReused(w.ctx, "g", "c", "u"))
	w.must(w.cuts.CodeReused(w.ctx, "g", "c", "u"))
	w.must(w.cuts.Grant(w.ctx, "g", "", "", audit.Operator("o")))
	after, err := w.store.ChangeNumber(w.ctx)
	w.must(err)
	if events := w.events(); len(events) != 1 || events[0].Actor != audit.Client("c") || after != before {
		t.Errorf("%d changes, and in the log is %+v", after-before, events)
	}
}

func TestWhatIsNotThereCannotBeCut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by := audit.Operator("o")
	for name, c := range map[string]struct{ err, want error }{
		"grant":           {w.cuts.Grant(w.ctx, "none", "", "", by), grants.ErrNotFound},
		"grant, reused":   {w.cuts.RefreshReused(w.ctx, "none", "c", "u"), grants.ErrNotFound},
		"grant of a code": {w.cuts.CodeReused(w.ctx, "none", "c", "u"), grants.ErrNotFound},
		"client":          {w.cuts.Client(w.ctx, "none", "", by), clients.ErrNotFound},
		"user":            {w.cuts.User(w.ctx, "none", "", by), accounts.ErrNotFound},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	if events := w.events(); len(events) > 0 || !w.stands() {
		t.Errorf("it stands: %t, and in the log is %+v", w.stands(), events)
	}
}

func TestToAskWhatACutWouldEndEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.store.ChangeNumber(w.ctx)
	w.must(err)
	for kind, subject := range map[changes.Kind]string{changes.Grant: "g", changes.Session: "s", changes.User: "u", changes.Client: "c", changes.Everything: ""} {
		would, err := w.cuts.WouldEnd(w.ctx, kind, subject)
		w.must(err)
		if would.Grants != 1 || would.Clients != 1 || would.Users != 1 {
			t.Errorf("%s %s: %+v", kind, subject, would)
		}
		if subject == "" {
			continue
		}
		if would, err := w.cuts.WouldEnd(w.ctx, kind, "none"); err != nil || would.Grants != 0 {
			t.Errorf("%s none: %+v, %v", kind, would, err)
		}
	}
	after, err := w.store.ChangeNumber(w.ctx)
	w.must(err)
	if events := w.events(); len(events) > 0 || after != before || !w.stands() {
		t.Errorf("%d changes, and in the log is %+v", after-before, events)
	}
}

func TestTheEpochIsTheLastCutOfEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	fresh := true
	epoch := revocation.NewEpoch(w.store, func() bool { return fresh })
	w.must(epoch.Follow(w.ctx, nil))
	is := func(want bool) {
		t.Helper()
		now, err := w.store.ServerEpoch(w.ctx)
		w.must(err)
		if n, err := epoch.Current(w.ctx); err != nil || (n == now) != want {
			t.Errorf("epoch %d, %v; the database has %d", n, err, now)
		}
	}
	is(true)
	w.must(w.cuts.Everything(w.ctx, "", audit.Operator("o")))
	is(false) // not followed yet
	fresh = false
	is(true) // so the database is asked
	fresh = true
	w.must(epoch.Follow(w.ctx, []changes.Change{{Kind: changes.Client, Subject: "c"}}))
	is(false)
	w.must(epoch.Follow(w.ctx, []changes.Change{{Kind: changes.Everything}}))
	is(true)
}
