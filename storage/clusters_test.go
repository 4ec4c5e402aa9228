//go:build clusters

// These tests run on clusters of real servers, which take seconds to start: 'make
// clusters'.
package storage_test

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	mysqldriver "github.com/go-sql-driver/mysql"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/storage/storagetest/between"
)

// host runs database servers in a folder of its own until the test ends. They run as
// nobody if the test runs as root: PostgreSQL refuses root, and Galera's rsync does not
// work with it.
type host struct {
	*testing.T
	dir      string
	password string
	as       *syscall.Credential
}

func newHost(t *testing.T) *host {
	t.Helper()
	// Not t.TempDir, which is closed to other users.
	dir, err := os.MkdirTemp("", "ingam-cluster")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h := &host{T: t, dir: dir, password: rand.Text()}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, err1 := strconv.Atoi(nobody.Uid)
		gid, err2 := strconv.Atoi(nobody.Gid)
		if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
			t.Fatal(err)
		}
		h.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	}
	return h
}

// path returns the path of a file of the host.
func (h *host) path(name string) string { return filepath.Join(h.dir, name) }

// write makes a file that the servers can read.
func (h *host) write(name, text string) string {
	h.Helper()
	err := os.WriteFile(h.path(name), []byte(text), 0o600)
	if err == nil && h.as != nil {
		err = os.Chown(h.path(name), int(h.as.Uid), int(h.as.Gid))
	}
	if err != nil {
		h.Fatal(err)
	}
	return h.path(name)
}

// command returns a command that runs a program of a database server.
func (h *host) command(program string, args ...string) *exec.Cmd {
	h.Helper()
	found, err := exec.LookPath(program)
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/usr/sbin/"} {
		if matches, _ := filepath.Glob(pattern + program); err != nil && len(matches) > 0 {
			found, err = slices.Max(matches), nil
		}
	}
	if err != nil {
		h.Fatalf("%v: install the packages postgresql and mariadb-server", err)
	}
	c := exec.Command(found, args...)
	c.Dir, c.Env = h.dir, append(os.Environ(), "HOME="+h.dir, "PGPASSWORD="+h.password)
	c.SysProcAttr = &syscall.SysProcAttr{Credential: h.as, Setpgid: true}
	return c
}

func (h *host) run(program string, args ...string) {
	h.Helper()
	if out, err := h.command(program, args...).CombinedOutput(); err != nil {
		h.Fatalf("%s: %v\n%s", program, err, out)
	}
}

// serve starts a server and waits until its database answers.
func (h *host) serve(driver, dsn, program string, args ...string) {
	h.Helper()
	c := h.command(program, args...)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		h.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = c.Wait(); close(ended) }()
	h.Cleanup(func() {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // and its child processes
		<-ended
	})
	db, err := sql.Open(driver, dsn)
	if err != nil {
		h.Fatal(err)
	}
	defer db.Close()
	for range 600 {
		ctx, cancel := context.WithTimeout(h.Context(), time.Second)
		err = db.PingContext(ctx)
		if err == nil {
			_, err = db.ExecContext(ctx, "SELECT 1")
		}
		cancel()
		if err == nil {
			return
		}
		select {
		case <-ended:
			h.Fatalf("%s has ended:\n%s", program, out.String())
		case <-time.After(100 * time.Millisecond):
		}
	}
	h.Fatalf("%s does not answer: %v", program, err)
}

// port returns a free port.
func (h *host) port() string {
	h.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		h.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// soon waits until is returns nil, for as long as a cluster may need.
func (h *host) soon(what string, is func() error) {
	h.Helper()
	var err error
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(20 * time.Millisecond) {
		if err = is(); err == nil {
			return
		}
	}
	h.Fatalf("%s: %v", what, err)
}

// galera starts a Galera cluster of two nodes. The second has less weight, so the first
// continues without it.
func (h *host) galera() (urls [2]string) {
	h.Helper()
	// A server removes the temporary files of others when it starts.
	h.run("mkdir", h.path("one.tmp"), h.path("two.tmp"))
	h.run("env", "TMPDIR="+h.path("one.tmp"), "mariadb-install-db", "--no-defaults", "--datadir="+h.path("one"), "--auth-root-authentication-method=normal", "--skip-test-db")
	start := h.write("init.sql", "ALTER USER root@localhost IDENTIFIED BY '"+h.password+"';\nCREATE DATABASE ingam;\n")
	provider, _ := filepath.Glob("/usr/lib*/galera*/libgalera_smm.so")
	if len(provider) == 0 {
		h.Fatal("there is no Galera: install the package galera-4")
	}
	first := h.port()
	for i, name := range []string{"one", "two"} {
		port, group, address := h.port(), first, "gcomm://"
		options := ";pc.weight=2"
		extra := []string{"--init-file=" + start}
		if i > 0 {
			h.run("mkdir", h.path(name))
			group, address = h.port(), address+"127.0.0.1:"+first
			options, extra = "", []string{"--wsrep-sst-receive-address=127.0.0.1:" + h.port()}
		}
		h.serve("mysql", "root:"+h.password+"@tcp(127.0.0.1:"+port+")/ingam", "mariadbd", append([]string{
			"--no-defaults", "--datadir=" + h.path(name), "--port=" + port, "--bind-address=127.0.0.1",
			"--socket=" + h.path(name+".sock"), "--pid-file=" + h.path(name+".pid"), "--tmpdir=" + h.path(name+".tmp"),
			"--binlog-format=ROW", "--innodb-autoinc-lock-mode=2", "--innodb-flush-log-at-trx-commit=0",
			"--wsrep-on=ON", "--wsrep-provider=" + provider[0], "--wsrep-node-address=127.0.0.1", "--wsrep-sst-method=rsync",
			"--wsrep-cluster-address=" + address,
			"--wsrep-provider-options=base_port=" + group + ";gmcast.listen_addr=tcp://127.0.0.1:" + group + ";ist.recv_addr=127.0.0.1:" + h.port() + options,
		}, extra...)...)
		urls[i] = "mysql://root:" + h.password + "@127.0.0.1:" + port + "/ingam"
	}
	return urls
}

func TestClusterOfTwoGaleraNodes(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	urls := h.galera()
	var nodes [2]*storage.Store
	for i, url := range urls {
		nodes[i] = storagetest.Open(t, url)
	}
	if err := nodes[0].Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := nodes[1].CheckSchema(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := nodes[0].CreateClient(t.Context(), clients.Client{ID: "a"}, event()); err != nil {
		t.Fatal(err)
	}
	disable := func(t *testing.T, at *storage.Store, disabled bool) {
		t.Helper()
		if err := at.SetClientDisabled(t.Context(), "a", disabled, event()); err != nil {
			t.Fatal(err)
		}
	}
	disabled := func(t *testing.T, at *storage.Store) bool {
		t.Helper()
		c, err := at.Client(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return c.Disabled
	}

	t.Run("what one has committed the other shows", func(t *testing.T) {
		for i := range 200 {
			disable(t, nodes[i%2], i%4 < 2)
			if disabled(t, nodes[(i+1)%2]) != (i%4 < 2) {
				t.Fatalf("after %d changes the other node shows what was before", i)
			}
		}
	})
	t.Run("a node that lags answers with an error and nothing old", func(t *testing.T) {
		disable(t, nodes[0], false)
		holding, err := storage.Pool(nodes[1]).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer holding.Close()
		disabled(t, nodes[1])
		if _, err := holding.ExecContext(t.Context(), "FLUSH TABLES WITH READ LOCK"); err != nil {
			t.Fatal(err)
		}
		disable(t, nodes[0], true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		c, err := nodes[1].Client(ctx, "a")
		if _, unlock := holding.ExecContext(t.Context(), "UNLOCK TABLES"); unlock != nil {
			t.Fatal(unlock)
		}
		if err == nil {
			t.Errorf("the node that lags says: disabled %t", c.Disabled)
		} else {
			mustBeFault(t, err)
		}
		if !disabled(t, nodes[1]) {
			t.Error("the client is still enabled")
		}
	})
	t.Run("changes at both conflict, and all are made", func(t *testing.T) {
		before, err := nodes[0].ChangeNumber(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		const writers, each = 4, 25
		var conflicts atomic.Int32
		var all sync.WaitGroup
		for i := range 2 * writers {
			all.Go(func() {
				for j := range each {
					jti := fmt.Sprint(i, " ", j)
					cut := func() error {
						return nodes[i%2].CutToken(t.Context(), jti, time.Now().Add(time.Hour), status.Ref{}, event())
					}
					// The store tries a conflict again, several times. On a busy machine a
					// change can lose each time, or wait too long for its turn, and the caller
					// is told. Then it is sent again, as a caller would do. To revoke a token
					// twice is one change.
					err := cut()
					for tries := 0; isFault(err) && tries < 20; tries++ {
						if isConflict(err) {
							conflicts.Add(1)
						}
						err = cut()
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		// Without the store's own tries, between 13 % and 30 % were refused.
		if n := conflicts.Load(); n > 2*writers*each/20 {
			t.Errorf("%d of %d changes were refused because of a conflict", n, 2*writers*each)
		}
		for _, n := range nodes {
			if after, err := n.ChangeNumber(t.Context()); err != nil || after != before+2*writers*each {
				t.Errorf("%d changes became %d: %v", before, after, err)
			}
		}
	})
	t.Run("a node that has left says so, until it is back", func(t *testing.T) {
		isolate := func(on int) {
			if _, err := storage.Pool(nodes[1]).ExecContext(t.Context(), fmt.Sprintf("SET GLOBAL wsrep_provider_options = 'gmcast.isolate=%d'", on)); err != nil {
				t.Fatal(err)
			}
		}
		isolate(1)
		h.soon("a node that has left", func() error {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := nodes[1].Clients(ctx)
			if err == nil || !strings.Contains(err.Error(), "WSREP has not yet prepared node for application use") {
				return fmt.Errorf("it says %v", err)
			}
			mustBeFault(t, err)
			return nil
		})
		disable(t, nodes[0], false)
		isolate(0)
		h.soon("a node that is back", func() error {
			_, err := nodes[1].Clients(t.Context())
			return err
		})
		if disabled(t, nodes[1]) {
			t.Error("it shows what was before it left")
		}
	})
}

// postgresPair is a primary and its standby. One Relay is between the Stores and the
// primary, another between the standby and the primary.
type postgresPair struct {
	*host
	// url names both servers, the primary first.
	url string
	// direct are the URLs of each server alone, and ports are their ports.
	direct, ports [2]string
	// primary is between the Stores and the primary; replication is between the two
	// servers.
	primary, replication *between.Relay
}

func newPostgresPair(t *testing.T, synchronous bool) *postgresPair {
	t.Helper()
	h := newHost(t)
	p := &postgresPair{host: h}
	start := func(i int, name string) {
		h.serve("pgx", p.direct[i], "postgres", "-D", h.path(name), "-p", p.ports[i], "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories="+h.dir, "-c", "wal_receiver_timeout=5s")
	}
	for i := range p.ports {
		p.ports[i] = h.port()
		p.direct[i] = "postgres://ingam:" + h.password + "@127.0.0.1:" + p.ports[i] + "/postgres?sslmode=disable"
	}
	h.run("initdb", "-D", h.path("primary"), "-U", "ingam", "--auth=scram-sha-256", "--pwfile="+h.write("password", h.password), "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
	start(0, "primary")
	through, primary := between.NewRelay(t, p.direct[0])
	replicated, replication := between.NewRelay(t, p.direct[0])
	p.primary, p.replication = primary, replication
	h.run("pg_basebackup", "-D", h.path("standby"), "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", strings.Replace(replicated, "?", "?application_name=standby&", 1))
	start(1, "standby")
	if synchronous {
		h.exec(p.direct[0], "ALTER SYSTEM SET synchronous_standby_names = 'standby'", "SELECT pg_reload_conf()")
	}
	h.soon("the standby follows", func() error {
		var state string
		err := h.query(p.direct[0], "SELECT sync_state FROM pg_stat_replication", &state)
		if want := map[bool]string{true: "sync", false: "async"}[synchronous]; err == nil && state != want {
			err = fmt.Errorf("it is %s, not %s", state, want)
		}
		return err
	})
	address, _, _ := strings.Cut(through, "/postgres?")
	p.url = address + ",127.0.0.1:" + p.ports[1] + "/postgres?sslmode=disable&target_session_attrs=read-write&connect_timeout=2"
	return p
}

func (h *host) query(url, statement string, dest ...any) error {
	h.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		h.Fatal(err)
	}
	defer db.Close()
	return db.QueryRowContext(h.Context(), statement).Scan(dest...)
}

func (h *host) exec(url string, statements ...string) {
	h.Helper()
	for _, s := range statements {
		storagetest.Exec(h, url, s)
	}
}

// promote makes the standby the primary, without telling the former primary.
func (p *postgresPair) promote() {
	p.Helper()
	p.primary.Stop()
	var done bool
	if err := p.query(p.direct[1], "SELECT pg_promote()", &done); err != nil || !done {
		p.Fatal("promote", done, err)
	}
}

// TestClusterFailoverToASynchronousStandbyLosesNothing also checks that the former primary
// serves nothing when it comes back without having been fenced.
func TestClusterFailoverToASynchronousStandbyLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPostgresPair(t, true)
	s := open(t, p.url, storage.Options{})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(t.Context(), clients.Client{ID: "a"}, event()); err != nil {
		t.Fatal(err)
	}
	f := follow(t, s, 2*time.Second)
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() { f.watcher.Run(ctx) })
	defer following.Wait()
	defer stop()

	made := 0
	var acknowledged []string
	write := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		made++
		jti := fmt.Sprint(made)
		err := s.CutToken(ctx, jti, time.Now().Add(time.Hour), status.Ref{}, event())
		if err == nil {
			acknowledged = append(acknowledged, jti)
		}
		return err
	}
	for range 100 {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	begun := time.Now()
	p.promote()
	p.soon("a write after the failover", write)
	t.Logf("written again after %s", time.Since(begun))
	for range 100 {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	// It is the first in the URL and is writable, but it has another history.
	if err := p.primary.Start(); err != nil {
		t.Fatal(err)
	}
	newest := int64(storagetest.Count(t, p.direct[1], "SELECT n FROM change_seq"))
	p.soon("polls have found the last change", func() error {
		h, err := s.History(t.Context(), changes.Position{})
		if err == nil && int64(h.Newest.Number) != newest {
			err = fmt.Errorf("the last is %d, not %d", h.Newest.Number, newest)
		}
		return err
	})
	for i := range 8 {
		conn, err := storage.ReadPool(s).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var port string
		if err := conn.QueryRowContext(t.Context(), "SELECT current_setting('port')").Scan(&port); err != nil || port != p.ports[1] {
			t.Errorf("connection %d leads to port %s, and the one that leads is at %s: %v", i, port, p.ports[1], err)
		}
	}
	for _, jti := range acknowledged {
		if n := storagetest.Count(t, p.direct[1], "SELECT COUNT(*) FROM revoked_tokens WHERE jti = '"+jti+"'"); n != 1 {
			t.Errorf("the cut of %s is lost", jti)
		}
	}
	stop()
	following.Wait()
	f.wantLines(t, 0)
}

// TestClusterFailoverToAnAsynchronousStandbyIsNoticed: changes that the standby did not
// have are lost, and changes after the failover are kept.
func TestClusterFailoverToAnAsynchronousStandbyIsNoticed(t *testing.T) {
	t.Parallel()
	p := newPostgresPair(t, false)
	s := open(t, p.url, storage.Options{})
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.CreateClient(t.Context(), clients.Client{ID: "a"}, event()); err != nil {
		t.Fatal(err)
	}
	p.soon("the standby has followed", func() error {
		var behind bool
		err := p.query(p.direct[0], "SELECT replay_lsn IS DISTINCT FROM pg_current_wal_lsn() FROM pg_stat_replication", &behind)
		if err == nil && behind {
			err = errors.New("it is behind")
		}
		return err
	})
	f := follow(t, s, 2*time.Second)
	p.replication.Stop()
	for i := range 2 {
		if err := s.CutToken(t.Context(), fmt.Sprint("lost ", i), time.Now().Add(time.Hour), status.Ref{}, event()); err != nil {
			t.Fatal(err)
		}
	}
	f.poll(t)
	if f.disabled(t) {
		t.Fatal("the client is disabled already")
	}
	p.promote()
	after := open(t, p.direct[1], storage.Options{})
	if err := after.CutToken(t.Context(), "after", time.Now().Add(time.Hour), status.Ref{}, event()); err != nil {
		t.Fatal(err)
	}
	if err := after.SetClientDisabled(t.Context(), "a", true, event()); err != nil {
		t.Fatal(err)
	}
	f.pollUntil(t)
	if !f.disabled(t) {
		t.Error("the client that was disabled after the failover is taken to be enabled")
	}
	f.wantLines(t, 1)
}

// isConflict reports whether an error says that two changes came into conflict: in a Galera
// cluster that is a deadlock, also where the other change was made at another node.
func isConflict(err error) bool {
	var my *mysqldriver.MySQLError
	return errors.As(err, &my) && my.Number == 1213
}
