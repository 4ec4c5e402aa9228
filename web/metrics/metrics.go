// Package metrics owns what the server measures of itself, in the form that
// Prometheus reads. It holds numbers and no names: neither users nor clients, and
// nothing that a request brings. What labels can be is a few words that are known
// beforehand, so that no stranger makes series.
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

// Words are the labels that are counted from the start: a counter that begins with its
// first event hides that one.
type Words struct{ GrantTypes, SignIns, Throttles []string }

// Sources are what is asked when the metrics are read.
type Sources struct {
	Version, Commit, GoVersion string
	// Listeners are the verifiers that listen here.
	Listeners func() int
	// Changes and Lists say for how long what is in memory, and the status lists,
	// have not been vouched for.
	Changes, Lists func() time.Duration
	// Writable is whether the database could be written to when that was last tried.
	Writable func() bool
	Statuses func() Statuses
	Keys     func() []Key
	// Pools are those of the database's connections, by name.
	Pools func() map[string]sql.DBStats
	Now   func() time.Time
}

// Statuses is how much the status lists are.
type Statuses struct {
	Lists, Bits, Set int
	Built            time.Duration
}

// Key is a key of a ring.
type Key struct {
	Ring, State string
	// SignsFrom is when it began to sign, RetiresAt when the next one will; zero
	// while there is none.
	SignsFrom, RetiresAt time.Time
}

// Metrics is all that is measured.
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
	// untilKnown are the buckets of how long a cut takes to be known, in seconds.
	untilKnown = []float64{.05, .1, .2, .3, .5, .75, 1, 2, 5, 10, 30}
	// untilAnswered are those of how long a request takes.
	untilAnswered = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
)

// New returns metrics that count what happens.
func New(words Words) *Metrics {
	one := func(word string) []string { return []string{word} }
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		listed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ingam_cut_listed_seconds", Buckets: untilKnown,
			Help: "From a cut until it is in the status lists of this process.",
		}),
		acknowledged: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ingam_cut_acknowledged_seconds", Buckets: untilKnown,
			Help: "From a cut until a verifier acknowledged it to this process.",
		}),
		lists: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingam_status_lists_served_total", Help: "Status lists that were served from memory, which the log does not record.",
		}),
		requests: newCounters("ingam_http_requests_total", "Requests that were answered.", []string{"route", "method", "code"}, func(r request) []string {
			return []string{r.route, r.method, strconv.Itoa(r.status)}
		}),
		latency: newHistograms("ingam_http_request_duration_seconds", "How long requests took to be answered, but for the stream, which does not end.", "route", untilAnswered),
		tokens:  newCounters("ingam_tokens_issued_total", "Answers with an access token.", []string{"grant_type"}, one),
		refusals: newCounters("ingam_refusals_total", "Requests that were refused or failed, by what the client was told and by why.", []string{"error", "reason"}, func(r refusal) []string {
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

// Ask adds what the server is asked for whenever the metrics are read. It is called once.
func (m *Metrics) Ask(s Sources) {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "ingam_build_info", Help: "What this process was built from; always 1.",
		ConstLabels: prometheus.Labels{"version": s.Version, "commit": s.Commit, "goversion": s.GoVersion},
	})
	build.Set(1)
	m.registry.MustRegister(build, asked{s})
}

// CutListed notes that a cut reached the lists.
func (m *Metrics) CutListed(took time.Duration) { m.listed.Observe(max(0, took.Seconds())) }

// CutAcknowledged notes that a verifier has applied a cut.
func (m *Metrics) CutAcknowledged(took time.Duration) { m.acknowledged.Observe(max(0, took.Seconds())) }

// ListServed notes that a status list was served.
func (m *Metrics) ListServed() { m.lists.Inc() }

// RequestServed notes that a request was answered. route is the pattern that it
// matched, never its path.
func (m *Metrics) RequestServed(route, method string, status int) {
	m.requests.of(request{route, methodOf(method), status}).Inc()
}

// RequestTook notes how long that took.
func (m *Metrics) RequestTook(route string, took time.Duration) {
	m.latency.of(route).Observe(took.Seconds())
}

// TokenIssued notes that an access token was issued.
func (m *Metrics) TokenIssued(grantType string) { m.tokens.of(grantType).Inc() }

// Refused notes what a client was told, and why.
func (m *Metrics) Refused(code, reason string) { m.refusals.of(refusal{code, reason}).Inc() }

// SignInTried notes what came of an attempt to sign in.
func (m *Metrics) SignInTried(outcome string) { m.signIns.of(outcome).Inc() }

// Throttled notes that somebody was turned away who came too often.
func (m *Metrics) Throttled(kind string) { m.throttle.of(kind).Inc() }

// methodOf is a method, or "other": anyone can make methods up.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodOptions, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

// Handler serves them at /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
