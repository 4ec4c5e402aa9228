// Package metrics owns what the server measures of itself, in the form that
// Prometheus reads. It holds numbers and no names: neither users nor clients.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics is all that is measured.
type Metrics struct {
	registry             *prometheus.Registry
	listed, acknowledged prometheus.Histogram
	lists                prometheus.Counter
}

// untilKnown are the buckets of how long a cut takes to be known, in seconds.
var untilKnown = []float64{.05, .1, .2, .3, .5, .75, 1, 2, 5, 10, 30}

// New returns metrics; listeners, behind and listsBehind are asked when they are
// read: how many verifiers listen here, and for how long what is in memory, and
// the status lists, have not been vouched for.
func New(listeners func() int, behind, listsBehind func() time.Duration) *Metrics {
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
	}
	m.lists = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ingam_status_lists_served_total", Help: "Status lists that were served from memory, which the log does not record.",
	})
	m.registry.MustRegister(
		m.lists,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.listed, m.acknowledged,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingam_status_listeners", Help: "Verifiers that listen to the stream of this process.",
		}, func() float64 { return float64(listeners()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingam_changes_behind_seconds", Help: "For how long this process has not known what was changed; 0 while it does.",
		}, func() float64 { return max(0, behind().Seconds()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingam_status_lists_behind_seconds", Help: "For how long the status lists of this process could not be had, because what was cut is not known; 0 while they can.",
		}, func() float64 { return max(0, listsBehind().Seconds()) }),
	)
	return m
}

// CutListed notes that a cut reached the lists.
func (m *Metrics) CutListed(took time.Duration) { m.listed.Observe(max(0, took.Seconds())) }

// CutAcknowledged notes that a verifier has applied a cut.
func (m *Metrics) CutAcknowledged(took time.Duration) { m.acknowledged.Observe(max(0, took.Seconds())) }

// ListServed notes that a status list was served.
func (m *Metrics) ListServed() { m.lists.Inc() }

// Handler serves them at /metrics.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	return mux
}
