package keys_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
)

// stock is a few real RSA keys that are made once, because these tests go through years of
// rotations. Several keys of a ring may have the same RSA key, so tests compare the kids.
var stock = sync.OnceValue(func() []*rsa.PrivateKey {
	list := make([]*rsa.PrivateKey, 4)
	for i := range list {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		list[i] = k
	}
	return list
})

func TestMain(m *testing.M) {
	var n atomic.Int64
	keys.SetGenerator(func(int) (*rsa.PrivateKey, error) {
		s := stock()
		return s[int(n.Add(1))%len(s)], nil
	})
	os.Exit(m.Run())
}

var policy = keys.Policy{
	Bits: 2048, RotateEvery: 30 * 24 * time.Hour, JWKSMaxAge: 5 * time.Minute, VerifierCache: 10 * time.Minute,
	Staleness: 2 * time.Second, Skew: 30 * time.Second, LongestToken: 24 * time.Hour, LongestHint: 90 * 24 * time.Hour,
}

// clock is the only fake in these tests.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func newStore(t *testing.T) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "keys.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func newMaster(t *testing.T, from string) (*masterkey.Key, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	if err := masterkey.Write(path, from); err != nil {
		t.Fatal(err)
	}
	m, err := masterkey.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return m, path
}

// newRing returns new rings that are maintained.
func newRing(t *testing.T) (*keys.Keyring, *clock) {
	t.Helper()
	c := newClock()
	m, _ := newMaster(t, "")
	k := keys.New(newStore(t), m, policy, c.now)
	must(t, k.Maintain(t.Context()))
	return k, c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sign(t *testing.T, k *keys.Keyring, ring keys.Ring) string {
	t.Helper()
	return signAs(t, k, ring, "at+jwt")
}

func signAs(t *testing.T, k *keys.Keyring, ring keys.Ring, typ string) string {
	t.Helper()
	token, err := k.Sign(ring, typ, []byte(`{"a":1}`))
	must(t, err)
	return token
}

// states returns the states of a ring's keys, in the order in which the keys sign.
func states(k *keys.Keyring, ring keys.Ring) []keys.State {
	var list []keys.State
	for _, s := range k.List() {
		if s.Ring == ring {
			list = append(list, s.State)
		}
	}
	return list
}

func find(t *testing.T, k *keys.Keyring, ring keys.Ring, state keys.State) keys.Status {
	t.Helper()
	for _, s := range k.List() {
		if s.Ring == ring && s.State == state {
			return s
		}
	}
	t.Fatalf("no key of ring %s is %s: %v", ring, state, states(k, ring))
	return keys.Status{}
}

func wantStates(t *testing.T, k *keys.Keyring, want ...keys.State) {
	t.Helper()
	if got := states(k, keys.Tokens); !slices.Equal(got, want) {
		t.Errorf("states %v, want %v", got, want)
	}
}

func kids(t *testing.T, jwks []byte) []string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	must(t, json.Unmarshal(jwks, &set))
	var list []string
	for _, k := range set.Keys {
		list = append(list, k["kid"])
	}
	return list
}
