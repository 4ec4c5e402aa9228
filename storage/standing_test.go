package storage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestStandingIsOneStatement(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		s, r := recorded(t, e)
		q := revocation.Question{JTI: "j", ClientID: "a", KeyID: "k"}
		for range 3 {
			r.Take()
			if _, err := s.Standing(t.Context(), q); err != nil {
				t.Fatal(err)
			}
			if got := r.Take(); len(got) != 1 || !isRead(got[0]) {
				t.Fatalf("the driver was asked %q", got)
			}
		}
	})
}

func TestReadsWriteNothing(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		s, r := recorded(t, e)
		for name, read := range storagetest.Reads(t.Context(), s) {
			r.Take()
			if err := read(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for _, statement := range r.Take() {
				if !isRead(statement) {
					t.Errorf("%s runs %q", name, statement)
				}
			}
		}
	})
}

func TestAChangeTakesItsNumberFirst(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, e storagetest.Engine) {
		s, r := recorded(t, e)
		r.Take()
		if err := s.CutToken(t.Context(), "j", time.Now(), status.Ref{}, audit.Event{}); err != nil {
			t.Fatal(err)
		}
		var begins []string
		for _, statement := range r.Take() {
			words := strings.Fields(statement)
			begins = append(begins, strings.Join(words[:min(3, len(words))], " "))
		}
		got := strings.ToLower(strings.NewReplacer("`", "", `"`, "").Replace(strings.Join(begins, "; ")))
		want := "begin; update change_seq set; insert into revoked_tokens; insert into changes; insert into audit_events; commit"
		if got != want {
			t.Fatalf("the driver was asked\n%s\nnot\n%s", got, want)
		}
	})
}

// recorded returns a Store with a client "a", and a Recorder of its statements.
func recorded(t *testing.T, e storagetest.Engine) (*storage.Store, *storagetest.Recorder) {
	t.Helper()
	r := &storagetest.Recorder{}
	s := open(t, storagetest.Migrated(t, e), storage.Options{Wrap: r.Wrap})
	if err := s.CreateClient(t.Context(), clients.Client{ID: "a"}, audit.Event{At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	return s, r
}

func isRead(statement string) bool {
	statement = strings.TrimSpace(statement)
	return strings.HasPrefix(statement, "SELECT ") || statement == "PRAGMA schema_version"
}

func BenchmarkStanding(b *testing.B) {
	for _, e := range storagetest.Engines() {
		b.Run(e.Name, func(b *testing.B) {
			s := storagetest.New(b, e)
			ctx := b.Context()
			ev := audit.Event{At: time.Now()}
			err := s.ChangeKeys(ctx, keys.Change{At: ev.At, Insert: []keys.Record{
				{KID: "k", Ring: keys.Tokens, Ordinal: 1, Public: []byte("p")},
			}})
			if err != nil {
				b.Fatal(err)
			}
			for i := range 100 {
				if err := s.CreateClient(ctx, clients.Client{ID: fmt.Sprintf("client-%d", i)}, ev); err != nil {
					b.Fatal(err)
				}
				if err := s.CutToken(ctx, fmt.Sprintf("token-%d", i), ev.At, status.Ref{}, ev); err != nil {
					b.Fatal(err)
				}
			}
			q := revocation.Question{JTI: "another token", ClientID: "client-50", KeyID: "k"}
			b.ReportAllocs()
			for b.Loop() {
				if st, err := s.Standing(ctx, q); err != nil || !st.ClientFound || !st.KeyStands || st.TokenCut {
					b.Fatal(st, err)
				}
			}
		})
	}
}
