package processes

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

// chapter runs a block of docs/backup.md as it is printed, with this test's folders and
// database name in place of the printed ones, and fails unless it succeeds.
func (d *deployment) chapter(t *testing.T, name, database string) ended {
	t.Helper()
	m := regexp.MustCompile("(?s)<!-- backup: " + name + " -->\n```sh\n(.*?)```\n").FindStringSubmatch(read(t, "docs/backup.md"))
	if m == nil {
		t.Fatalf("docs/backup.md has no %q", name)
	}
	script := strings.NewReplacer(
		"/var/backups/ingam", d.backups(t), "/var/lib/ingam", d.dir, "/etc/ingam", d.dir,
		".sql ingam\n", ".sql "+database+"\n", ".cnf ingam <", ".cnf "+database+" <",
	).Replace(m[1])
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = t.TempDir(), d.environ() // a block must work in every working directory
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s\n%s", name, err, script, stderr.String())
	}
	return ended{stdout.String(), stderr.String(), done}
}

// backups is the folder for backups.
func (d *deployment) backups(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(d.dir, "backups")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantOwnOnly checks that only their owner can read the files in a folder.
func wantOwnOnly(t *testing.T, dir string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(all) == 0 {
		t.Fatal(all, err)
	}
	for _, path := range all {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others have access to %s: %v %v", path, info, err)
		}
	}
}

// places are the places of tokens in the status lists.
type places map[string]string

// add notes the place of a token. A later token of the same holder may have the same
// place, but no other holder's may.
func (p places) add(t *testing.T, token, holder string) {
	t.Helper()
	path, index := statusOf(t, token)
	place := fmt.Sprint(path, " ", index)
	if had, ok := p[place]; ok && had != holder {
		t.Errorf("the status %s of %s is that of %s, too", place, holder, had)
	}
	p[place] = holder
}

// TestABackupOfARunningServerIsWhatTheDocumentationSays walks through SQLite's part of
// the chapter.
func TestABackupOfARunningServerIsWhatTheDocumentationSays(t *testing.T) {
	t.Parallel()
	d := emptyDeployment(t, "")
	file := strings.TrimPrefix(d.database, "sqlite:")
	s := d.start()
	job, web := d.client("job"), d.webClient("web")
	d.client("stopped")
	later := d.client("later")
	users := []string{"minji", "jisoo", "haneul"}
	for _, name := range users {
		d.user(name)
	}

	// These tokens are issued before the backup begins.
	statuses, kept := places{}, map[string]tokenSet{}
	for _, name := range users {
		kept[name] = web.tokens(s, s.person(), name, "scope", "openid read offline_access")
		statuses.add(t, kept[name].Access, "the grant of "+name)
	}
	cutLater := s.token("job", job)
	statuses.add(t, cutLater, "a token from before")
	// During the backup, people sign in and apps refresh.
	var mu sync.Mutex
	var rotated atomic.Int64
	working, end := sync.WaitGroup{}, make(chan struct{})
	moving := web.tokens(s, s.person(), "minji")
	statuses.add(t, moving.Access, "the grant that moves on")
	first := moving.Refresh
	working.Go(func() {
		for {
			select {
			case <-end:
				return
			default:
			}
			a := web.refresh(s, moving.Refresh)
			if a.status != http.StatusOK {
				t.Errorf("a refresh beside the backup: %d %s", a.status, a.body)
				return
			}
			mu.Lock()
			mustUnmarshal(t, a.body, &moving)
			statuses.add(t, moving.Access, "the grant that moves on")
			mu.Unlock()
			rotated.Add(1)
		}
	})
	working.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
			}
			got := web.tokens(s, s.person(), "jisoo")
			mu.Lock()
			statuses.add(t, got.Access, fmt.Sprint("a grant made meanwhile ", i))
			mu.Unlock()
		}
	})
	n := rotated.Load()
	e := d.chapter(t, "SQLite, back up", "")
	wantSaid(t, e.stdout, "backed up sqlite:"+file+" to "+d.backups(t))
	wantSaid(t, e.stderr, "master key is not in it")
	wantOwnOnly(t, d.backups(t))
	eventually(t, "a refresh after the backup", time.Minute, func() bool { return rotated.Load() > n+2 })
	close(end)
	working.Wait()
	if t.Failed() {
		return
	}

	// These changes are made after the backup, so they are not in it.
	lost := s.token("job", job)
	statuses.add(t, lost, "a token made since")
	for range 20 {
		// The client's first token: the server reserves a block of indices that the
		// backup does not contain.
		statuses.add(t, s.token("later", later), "another client's token made since")
	}
	if e := d.command(cutLater, nil, "revoke", "--token-stdin"); e.status != done {
		t.Fatal(e.stderr)
	}
	d.must("client", "disable", "stopped")
	d.user("late")
	since := web.tokens(s, s.person(), "haneul")
	statuses.add(t, since.Access, "a grant made since")
	if s.active("job", job, cutLater) {
		t.Fatal("the cut does not hold")
	}
	last := d.number()

	// While the server runs, restore refuses: over its database, and also where its
	// database was before it was moved away.
	backup := filepath.Join(d.backups(t), "2026-01-31.db")
	e = d.command("", nil, "restore", backup)
	if e.status != failed || !strings.Contains(e.stderr, "a server is running on it") {
		t.Errorf("beside a running server: %+v", e)
	}
	aside := t.TempDir()
	move := func(from, to string) {
		t.Helper()
		for _, path := range []string{"", "-wal", "-shm"} {
			if err := os.Rename(filepath.Join(from, "ingam.db"+path), filepath.Join(to, "ingam.db"+path)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}
	move(d.dir, aside)
	if e := d.command("", nil, "restore", backup); e.status != failed || !strings.Contains(e.stderr, "a server is running on it") {
		t.Errorf("beside a server whose file was moved away: %+v", e)
	}
	move(aside, d.dir)
	if e := d.command("", nil, "restore", "--in-place"); e.status != failed || !strings.Contains(e.stderr, "a server is running on it") {
		t.Errorf("in place beside a running server: %+v", e)
	}
	s.kill()
	if e := d.command("", nil, "restore", backup); e.status != failed || !strings.Contains(e.stderr, "there is a file already at "+file) || !strings.Contains(e.stderr, "move "+file) {
		t.Errorf("over a database: %+v", e)
	}

	e = d.chapter(t, "SQLite, restore", "")
	wantSaid(t, e.stdout, "restored "+d.database, "as of change ", "(UTC)")
	wantSaid(t, e.stderr, "clients that were disabled", "must sign their users in again", "ingam revoke --all")
	if strings.Contains(e.stderr, "Warning") {
		t.Error(e.stderr)
	}
	s = d.start()
	if now := d.number(); now < last+1<<32 {
		t.Errorf("it goes on at %d, and %d was given out", now, last)
	}
	events := d.events(t, "database.restore")
	if len(events) != 1 || events[0].Reason != "the disk failed" || events[0].Actor != operator() || events[0].Details["file"] != backup || events[0].Details["change"] == "" {
		t.Errorf("%+v", events)
	}
	// The checks follow the table of the chapter, line by line.
	if e := d.command("", nil, "user", "show", "late"); e.status != failed {
		t.Error("a user of since is there")
	}
	for what, token := range map[string]string{"that was cut since": cutLater, "that was made since": lost} {
		if !s.active("job", job, token) {
			t.Errorf("a token %s is not active", what)
		}
	}
	if s.active("job", job, since.Access) {
		t.Error("a token of a sign-in of since is active")
	}
	var client clientJSON
	if d.mustJSON(&client, "client", "show", "stopped"); client.Disabled {
		t.Error("a client that was disabled since the backup is still disabled")
	}
	for _, name := range users {
		if !s.active("job", job, kept[name].Access) {
			t.Errorf("the access token of %s from before the backup is not active", name)
		}
		next := web.refresh(s, kept[name].Refresh).tokens(t)
		statuses.add(t, next.Access, "the grant of "+name)
	}
	if a := web.refresh(s, moving.Refresh); a.status != http.StatusBadRequest || a.json(t)["error"] != "invalid_grant" {
		t.Errorf("a refresh token of since: %d %s", a.status, a.body)
	}
	if n := storagetest.Count(t, d.database, "SELECT COUNT(*) FROM grants WHERE revoked_ms IS NOT NULL"); n != 0 {
		t.Errorf("%d grants were revoked for it", n)
	}
	// No status index is used a second time.
	for i := range 50 {
		statuses.add(t, s.token("job", job), fmt.Sprint("a token after the restore ", i))
	}
	for i := range 3 {
		statuses.add(t, web.tokens(s, s.person(), "jisoo").Access, fmt.Sprint("a grant after the restore ", i))
	}
	// A cut also reaches the tokens that were issued after the backup, but only at
	// introspection.
	d.must("revoke", "--client", "job")
	for _, token := range []string{cutLater, lost} {
		if s.active("job", job, token) {
			t.Error("a token of before the restore outlives a cut")
		}
	}
	if !s.active("job", job, s.token("job", job)) {
		t.Error("a new token is not active")
	}
	other := d.number()
	s.stop()

	// The backup is restored once more, to another place and with --cut-all: the numbers
	// differ from those of the first restore, and everything is revoked.
	again := *d
	again.dir = t.TempDir()
	again.database = "sqlite:" + filepath.Join(again.dir, "ingam.db")
	if out := again.must("restore", backup, "--cut-all"); !strings.Contains(out, "restored "+again.database) {
		t.Error(out)
	}
	if n := again.number(); n < last+1<<33 || n-other < 1000 && other-n < 1000 {
		t.Errorf("it goes on at %d, and the other one is at %d", n, other)
	}
	s = again.start()
	if s.active("job", job, cutLater) || s.active("job", job, kept["minji"].Access) {
		t.Error("a token outlives the cut of everything")
	}
	for _, token := range []string{kept["minji"].Refresh, first} {
		if a := web.refresh(s, token); a.status != http.StatusBadRequest {
			t.Errorf("a refresh token outlives the cut of everything: %d %s", a.status, a.body)
		}
	}
	if !s.active("job", job, s.token("job", job)) {
		t.Error("a new token is not active")
	}
	if got := again.events(t, "cut.everything"); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestOtherEnginesAreBackedUpWithTheirOwnTools walks through their parts of the chapter.
func TestOtherEnginesAreBackedUpWithTheirOwnTools(t *testing.T) {
	t.Parallel()
	for _, e := range storagetest.Servers() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			d := emptyDeployment(t, e.NewURL(t))
			tool := map[storage.Engine]string{storage.PostgreSQL: "pg_dump", storage.MySQL: "mariadb-dump"}[e.Kind]
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("there is no %s", tool)
			}
			s := d.start()
			job, web := d.client("job"), d.webClient("web")
			d.user("minji")
			grant := web.tokens(s, s.person(), "minji", "scope", "openid read offline_access")
			token := s.token("job", job)
			for _, args := range [][]string{{"backup", "--out", filepath.Join(d.dir, "backup")}, {"restore", filepath.Join(d.dir, "backup")}} {
				if e := d.command("", nil, args...); e.status != failed || !strings.Contains(e.stderr, tool) || !strings.Contains(e.stderr, "ingam restore --in-place") {
					t.Errorf("%s: %+v", args[0], e)
				}
			}

			name := func(database string) string {
				t.Helper()
				u, err := url.Parse(database)
				if err != nil {
					t.Fatal(err)
				}
				password, _ := u.User.Password()
				if err := os.WriteFile(filepath.Join(d.dir, "mariadb.cnf"), fmt.Appendf(nil, "[client]\nhost=%s\nport=%s\nuser=%s\npassword=%s\n",
					u.Hostname(), u.Port(), u.User.Username(), password), 0o600); err != nil {
					t.Fatal(err)
				}
				return strings.TrimPrefix(u.Path, "/")
			}
			d.chapter(t, e.Name+", back up", name(d.database))
			wantOwnOnly(t, d.backups(t))

			lost := s.token("job", job)
			d.must("client", "disable", "job")
			d.user("late")
			last := d.number()
			s.kill()

			d.database = e.NewURL(t)
			got := d.chapter(t, e.Name+", restore", name(d.database))
			wantSaid(t, got.stdout, "goes on as of change ")
			wantSaid(t, got.stderr, "clients that were disabled")
			if now := d.number(); now < last+1<<32 {
				t.Errorf("it goes on at %d, and %d was given out", now, last)
			}
			events := d.events(t, "database.restore")
			if len(events) != 1 || events[0].Reason != "the disk failed" {
				t.Errorf("%+v", events)
			}
			s = d.start()
			for _, token := range []string{token, lost, grant.Access} {
				if !s.active("job", job, token) {
					t.Error("a token is not active")
				}
			}
			web.refresh(s, grant.Refresh).tokens(t)
			if e := d.command("", nil, "user", "show", "late"); e.status != failed {
				t.Error("a user of since is there")
			}
			path, _ := statusOf(t, token)
			if next, _ := statusOf(t, s.token("job", job)); next == path {
				t.Errorf("a new token has its status in %s, as those of before", next)
			}
			d.must("restore", "--in-place", "--cut-all")
			eventually(t, "everything has ended", time.Minute, func() bool { return !s.active("job", job, token) })
		})
	}
}
