// Package metrics measures the server and publishes the numbers for Prometheus. It
// contains no names of users or clients, and nothing that a request brings. The values
// of labels come from a small set that is known beforehand, so that no stranger can
// create series.
//
// A cut is a revocation: of a token, a grant, a user, a client, or everything.
package metrics

import (
	"database/sql"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Words are the label values that are reported from the start, with 0. If a counter
// appeared only with its first event, Prometheus would miss that event.
type Words struct{ GrantTypes, SignIns, Throttles []string }

// Sources are functions that are called whenever the metrics are fetched.
type Sources struct {
	Version, Commit, GoVersion string
	// Listeners returns how many verifiers listen to the stream of this process.
	Listeners func() int
	// Changes and Lists return for how long this process has not known whether the
	// records in memory, or the status lists, are current.
	Changes, Lists func() time.Duration
	// Writable returns whether the last attempt to write to the database succeeded.
	Writable func() bool
	Statuses func() Statuses
	Keys     func() []Key
	// Pools returns the pools of database connections by name.
	Pools func() map[string]sql.DBStats
	Now   func() time.Time
}

// Statuses is the size of the status lists.
type Statuses struct {
	Lists, Bits, Set int
	Built            time.Duration
}

// Key is a key of a ring.
type Key struct {
	Ring, State string
	// SignsFrom is when the key began to sign, RetiresAt when the next one will begin;
	// zero while there is no next key.
	SignsFrom, RetiresAt time.Time
}

// Metrics are all metrics of a server process.
type Metrics struct {
	registry             *prometheus.Registry
	listed, acknowledged prometheus.Histogram
	lists                prometheus.Counter

	requests *counters[request]
	latency  *histograms
	tokens   *counters[string]
	refusals *counters[refusal]
	signIns  *counters[string]
	throttle *counters[string]
}

type request struct {
	route, method string
	status        int
}

type refusal struct{ code, reason string }

var (
	// untilKnown are the histogram buckets, in seconds, for how long it takes until a
	// cut is known.
	untilKnown = []float64{.05, .1, .2, .3, .5, .75, 1, 2, 5, 10, 30}
	// untilAnswered are the histogram buckets, in seconds, for how long a request
	// takes.
	untilAnswered = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// New returns metrics without Sources; Ask adds them.
func New(words Words) *Metrics {
	one := func(word string) []string { return []string{word} }
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		listed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ingam_cut_listed_seconds", Buckets: untilKnown,
			Help: "Time from a cut (a revocation) until it is in the status lists of this process.",
		}),
		acknowledged: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ingam_cut_acknowledged_seconds", Buckets: untilKnown,
			Help: "Time from a cut (a revocation) until a verifier acknowledged it to this process.",
		}),
		lists: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingam_status_lists_served_total", Help: "Status lists served from memory; the log has no record of these requests.",
		}),
		requests: newCounters("ingam_http_requests_total", "Requests that were answered.", []string{"route", "method", "code"}, func(r request) []string {
			return []string{r.route, r.method, strconv.Itoa(r.status)}
		}),
		latency: newHistograms("ingam_http_request_duration_seconds", "How long requests took, except for the stream, which does not end.", "route", untilAnswered),
		tokens:  newCounters("ingam_tokens_issued_total", "Answers with an access token.", []string{"grant_type"}, one),
		refusals: newCounters("ingam_refusals_total", "Requests that were refused or failed, by the error that the client was told and by the reason.", []string{"error", "reason"}, func(r refusal) []string {
			return []string{r.code, r.reason}
		}),
		signIns:  newCounters("ingam_sign_ins_total", "Attempts to sign in with a password.", []string{"outcome"}, one),
		throttle: newCounters("ingam_throttled_total", "Requests that were turned away because there were too many of their kind.", []string{"kind"}, one),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.lists, m.listed, m.acknowledged,
		m.requests.vec, m.latency.vec, m.tokens.vec, m.refusals.vec, m.signIns.vec, m.throttle.vec,
	)
	for _, word := range words.GrantTypes {
		m.tokens.of(word)
	}
	for _, word := range words.SignIns {
		m.signIns.of(word)
	}
	for _, word := range words.Throttles {
		m.throttle.of(word)
	}
	return m
}

// Ask adds the metrics that Sources return. Call it once.
func (m *Metrics) Ask(s Sources) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ingam_build_info", Help: "What this process was built from; always 1.",
		ConstLabels: prometheus.Labels{"version": s.Version, "commit": s.Commit, "goversion": s.GoVersion},
	})
	build.Set(1)
	m.registry.MustRegister(build, asked{s})
}

// CutListed records how long it took from a cut until it was in the status lists.
func (m *Metrics) CutListed(took time.Duration) { m.listed.Observe(max(0, took.Seconds())) }

// CutAcknowledged records how long it took from a cut until a verifier had applied it.
func (m *Metrics) CutAcknowledged(took time.Duration) { m.acknowledged.Observe(max(0, took.Seconds())) }

// ListServed counts a served status list.
func (m *Metrics) ListServed() { m.lists.Inc() }

// RequestServed counts an answered request. route is the pattern that it matched, never
// its path.
func (m *Metrics) RequestServed(route, method string, status int) {
	m.requests.of(request{route, methodOf(method), status}).Inc()
}

// RequestTook records how long a request took.
func (m *Metrics) RequestTook(route string, took time.Duration) {
	m.latency.of(route).Observe(took.Seconds())
}

// TokenIssued counts an issued access token.
func (m *Metrics) TokenIssued(grantType string) { m.tokens.of(grantType).Inc() }

// Refused counts an error by what the client was told, and by the reason.
func (m *Metrics) Refused(code, reason string) { m.refusals.of(refusal{code, reason}).Inc() }

// SignInTried counts an attempt to sign in by its outcome.
func (m *Metrics) SignInTried(outcome string) { m.signIns.of(outcome).Inc() }

// Throttled counts a request that was refused because there were too many of its kind.
func (m *Metrics) Throttled(kind string) { m.throttle.of(kind).Inc() }

// methodOf returns the method, or "other" for an unknown one: clients can invent
// methods.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// Handler serves the metrics at /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
