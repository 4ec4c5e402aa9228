package metrics_test

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/web/metrics"
)

var now = time.Date(2026, time.November, 25, 12, 0, 0, 0, time.UTC)

func newMetrics(ring ...metrics.Key) *metrics.Metrics {
	m := metrics.New(metrics.Words{GrantTypes: []string{"refresh_token"}, SignIns: []string{"wrong"}, Throttles: []string{"password"}})
	m.Ask(metrics.Sources{
		Version: "v1", Commit: "c", GoVersion: "go1",
		Listeners: func() int { return 3 },
		Changes:   func() time.Duration { return -time.Second },
		Lists:     func() time.Duration { return 2 * time.Second },
		Writable:  func() bool { return false },
		Statuses:  func() metrics.Statuses { return metrics.Statuses{Lists: 2, Bits: 64, Set: 5, Built: time.Second} },
		Keys:      func() []metrics.Key { return ring },
		Pools: func() map[string]sql.DBStats {
			return map[string]sql.DBStats{
				"read": {MaxOpenConnections: 8, OpenConnections: 3, InUse: 1, Idle: 2, WaitCount: 7, WaitDuration: 1500 * time.Millisecond}, "write": {},
			}
		},
		Now: func() time.Time { return now },
	})
	return m
}

func exposed(m *metrics.Metrics) string {
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func TestWhatIsAskedIsToldAsItIs(t *testing.T) {
	t.Parallel()
	text := exposed(newMetrics(
		metrics.Key{Ring: "tokens", State: "retired", SignsFrom: now.Add(-48 * time.Hour), RetiresAt: now.Add(-time.Hour)},
		metrics.Key{Ring: "tokens", State: "active", SignsFrom: now.Add(-time.Hour), RetiresAt: now.Add(time.Minute)},
		metrics.Key{Ring: "tokens", State: "published", SignsFrom: now.Add(time.Minute)},
		metrics.Key{Ring: "refresh", State: "active", SignsFrom: now.Add(-time.Hour)}, // and none to follow
	))
	for _, want := range []string{
		`ingam_build_info{commit="c",goversion="go1",version="v1"} 1`,
		`ingam_status_listeners 3`, `ingam_changes_behind_seconds 0`, `ingam_status_lists_behind_seconds 2`, `ingam_database_writable 0`,
		`ingam_status_lists 2`, `ingam_statuses 64`, `ingam_statuses_set 5`, `ingam_status_lists_build_seconds 1`,
		`ingam_keys{ring="tokens",state="retired"} 1`, `ingam_keys{ring="tokens",state="published"} 1`, `ingam_keys{ring="refresh",state="published"} 0`,
		`ingam_key_age_seconds{ring="tokens"} 3600`, `ingam_key_rotation_due_seconds{ring="tokens"} 60`, `ingam_key_age_seconds{ring="refresh"} 3600`,
		`ingam_database_max_open_connections{pool="read"} 8`, `ingam_database_open_connections{pool="read"} 3`, `ingam_database_in_use_connections{pool="read"} 1`,
		`ingam_database_idle_connections{pool="read"} 2`, `ingam_database_waits_total{pool="read"} 7`, `ingam_database_wait_seconds_total{pool="read"} 1.5`,
		`ingam_database_open_connections{pool="write"} 0`,
		// The series exist from the start with the value 0. Otherwise Prometheus would
		// not see the first event as an increase.
		`ingam_tokens_issued_total{grant_type="refresh_token"} 0`, `ingam_sign_ins_total{outcome="wrong"} 0`, `ingam_throttled_total{kind="password"} 0`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("there is no %s", want)
		}
	}
	if strings.Contains(text, `ingam_key_rotation_due_seconds{ring="refresh"}`) {
		t.Error("a rotation is due to a key that there is not")
	}
}

func TestCountingCostsARequestNoMemory(t *testing.T) {
	m := newMetrics()
	request := func() {
		m.RequestServed("/oauth2/token", http.MethodPost, http.StatusOK)
		m.RequestTook("/oauth2/token", time.Millisecond)
		m.TokenIssued("refresh_token")
		m.Refused("invalid_grant", "reused")
	}
	if n := testing.AllocsPerRun(100, request); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCounting(b *testing.B) {
	m := newMetrics()
	for b.Loop() {
		m.RequestServed("/oauth2/token", http.MethodPost, http.StatusOK)
		m.RequestTook("/oauth2/token", time.Millisecond)
		m.TokenIssued("refresh_token")
	}
}
