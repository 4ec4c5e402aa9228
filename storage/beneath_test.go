package storage_test

import (
	"context"
	"crypto/sha256"
	"database/sql/driver"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// beneath sits between database/sql and the driver: it records statements, and asks about
// each before it runs. Unlike a Recorder it holds no lock meanwhile, so that a statement can
// be kept waiting; and a COMMIT that it makes fail is undone, as SQLite does it.
type beneath struct {
	storagetest.Recorder
	mu  sync.Mutex
	ask func(statement string) error
}

// Ask calls ask before each statement from now on. An error is returned instead of running
// the statement.
func (b *beneath) Ask(ask func(statement string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ask = ask
}

func (b *beneath) before(statement string) error {
	b.mu.Lock()
	ask := b.ask
	b.mu.Unlock()
	if ask == nil {
		return nil
	}
	return ask(statement)
}

func (b *beneath) Wrap(c driver.Connector) driver.Connector {
	return beneathConnector{b.Recorder.Wrap(c), b}
}

type beneathConnector struct {
	driver.Connector
	b *beneath
}

func (c beneathConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return beneathConn{conn.(wholeConn), c.b}, nil
}

// wholeConn is all that database/sql may ask of a connection.
type wholeConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

type beneathConn struct {
	wholeConn
	b *beneath
}

func (c beneathConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.b.before(q); err != nil {
		return nil, err
	}
	return c.wholeConn.ExecContext(ctx, q, args)
}

func (c beneathConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.b.before(q); err != nil {
		return nil, err
	}
	return c.wholeConn.QueryContext(ctx, q, args)
}

func (c beneathConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.b.before("BEGIN"); err != nil {
		return nil, err
	}
	tx, err := c.wholeConn.BeginTx(ctx, o)
	return beneathTx{tx, c.b}, err
}

type beneathTx struct {
	driver.Tx
	b *beneath
}

func (t beneathTx) Commit() error {
	if err := t.b.before("COMMIT"); err != nil {
		t.Tx.Rollback()
		return err
	}
	return t.Tx.Commit()
}

var noon = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// group is a Store whose only connection for writing can be held.
type group struct {
	*testing.T
	*beneath
	s     *storage.Store
	url   string
	epoch grants.Epochs
}

// newGroup stores grants "0", "1", … in one session, and a code for each: "code of 0", ….
func newGroup(t *testing.T, n int) *group {
	t.Helper()
	return newGroupOn(t, storagetest.Engines()[0], n)
}

// newGroupOn is newGroup on an engine. Only SQLite's connection can be held.
func newGroupOn(t *testing.T, e storagetest.Engine, n int) *group {
	t.Helper()
	g := &group{T: t, beneath: &beneath{}, url: storagetest.Migrated(t, e)}
	g.s = open(t, g.url, storage.Options{Wrap: g.Wrap})
	ctx := t.Context()
	g.must(g.s.CreateClient(ctx, clients.Client{ID: "c"}, event()))
	g.must(g.s.CreateUser(ctx, accounts.User{ID: "u", Username: "u"}, event()))
	u, err := g.s.User(ctx, "u")
	g.must(err)
	session := sessions.Session{ID: "s", UserID: "u", UserEpoch: u.Epoch, CreatedAt: noon, IdleAt: noon.Add(time.Hour), ExpiresAt: noon.Add(time.Hour)}
	g.must(g.s.BeginSession(ctx, session, hashOf("s"), hashOf("s"), event()))
	g.epoch, err = g.s.Epochs(ctx, "s", "c", noon)
	g.must(err)
	for i := range n {
		id := fmt.Sprint(i)
		g.must(g.s.BeginGrant(ctx, g.grant(id), noon))
		g.must(g.save("code of " + id)())
	}
	g.Take()
	return g
}

func hashOf(s string) [32]byte { return sha256.Sum256([]byte(s)) }

func (g *group) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *group) grant(id string) grants.Grant {
	return grants.Grant{
		ID: id, ClientID: "c", UserID: "u", SessionID: "s", UserEpoch: g.epoch.User, ClientEpoch: g.epoch.Client, ServerEpoch: g.epoch.Server,
		CreatedAt: noon, ExpiresAt: noon.Add(time.Hour), Refresh: grants.Refresh{Generation: 1, ExpiresAt: noon.Add(time.Hour)},
	}
}

// rotate returns a rotation of a grant from the generation 1; save a write that stores a code,
// which expires; redeem one that redeems a code for a new grant.
func (g *group) rotate(id string) func() error { return g.rotateFor(g.Context(), id, 1) }

func (g *group) rotateFor(ctx context.Context, id string, from int64) func() error {
	next := grants.Refresh{Generation: from + 1, ExpiresAt: noon.Add(time.Hour), KeyID: "key of " + id}
	return func() error { return g.s.RotateGrant(ctx, id, from, next, status.Ref{}, status.Ref{}, noon) }
}

func (g *group) save(code string, scopes ...string) func() error {
	c := grants.Code{ClientID: "c", SessionID: "s", Scopes: scopes, ExpiresAt: noon.Add(time.Minute)}
	return func() error { return g.s.SaveCode(g.Context(), hashOf(code), c, noon) }
}

func (g *group) redeem(code, id string) func() error {
	return func() error { return g.s.RedeemCode(g.Context(), hashOf(code), noon, g.grant(id)) }
}

// held keeps the connection busy with a write, until release is called.
func (g *group) held() (release func()) {
	begun, released := make(chan struct{}), make(chan struct{})
	g.Ask(func(statement string) error {
		if strings.Contains(statement, "UPDATE login_sessions SET seen_ms") {
			close(begun)
			<-released
		}
		return nil
	})
	first := make(chan error, 1)
	go func() { first <- g.s.TouchSession(g.Context(), "s", noon, noon.Add(time.Hour)) }()
	<-begun
	g.Ask(nil)
	return func() {
		close(released)
		g.must(<-first)
	}
}

// queue begins a write, and returns when it waits behind the connection that is held.
func (g *group) queue(write func() error) (outcome chan error) {
	outcome = make(chan error, 1)
	before := storage.Waiting(g.s)
	go func() { outcome <- write() }()
	for storage.Waiting(g.s) == before {
		runtime.Gosched()
	}
	return outcome
}

// together runs writes as one group, in this order, and returns their outcomes. Its
// statements, and no others, are left in the Recorder; ask is called before each.
func (g *group) together(ask func(statement string) error, writes ...func() error) []error {
	g.Helper()
	release := g.held()
	outcomes := make([]chan error, len(writes))
	for i, write := range writes {
		outcomes[i] = g.queue(write)
	}
	g.Take()
	g.Ask(ask)
	release()
	errs := make([]error, len(writes))
	for i, outcome := range outcomes {
		errs[i] = <-outcome
	}
	g.Ask(nil)
	return errs
}

// count counts the statements since the last Take that contain each text.
func (g *group) count(texts ...string) string {
	all := g.Take()
	counts := make([]string, len(texts))
	for i, text := range texts {
		n := 0
		for _, statement := range all {
			if strings.Contains(statement, text) {
				n++
			}
		}
		counts[i] = fmt.Sprint(text, " ", n)
	}
	return strings.Join(counts, ", ")
}

// generations reads, after the file was closed and opened, the generation of each grant; 0
// if there is none.
func (g *group) generations(ids ...string) (all []int64) {
	g.Helper()
	g.must(g.s.Close())
	s := storagetest.Open(g.T, g.url)
	for _, id := range ids {
		found, err := s.Grant(g.Context(), id)
		if err != nil {
			found.Refresh.Generation = 0
		}
		all = append(all, found.Refresh.Generation)
	}
	return all
}
