package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// children are the series of a metric, found by the values of their labels. Every
// request looks for one of a few, and so avoids hashing labels.
type children[K comparable, S any] struct {
	mu    sync.RWMutex
	known map[K]S
}

// of returns the series of k. The first time, make creates it.
func (c *children[K, S]) of(k K, make func() S) S {
	c.mu.RLock()
	s, ok := c.known[k]
	c.mu.RUnlock()
	if ok {
		return s
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s, ok = c.known[k]; !ok {
		s = make()
		c.known[k] = s
	}
	return s
}

// counters is a counter with labels.
type counters[K comparable] struct {
	vec    *prometheus.CounterVec
	labels func(K) []string
	all    children[K, prometheus.Counter]
}

func newCounters[K comparable](name, help string, labels []string, of func(K) []string) *counters[K] {
	return &counters[K]{
		vec:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels),
		labels: of, all: children[K, prometheus.Counter]{known: map[K]prometheus.Counter{}},
	}
}

func (c *counters[K]) of(k K) prometheus.Counter {
	return c.all.of(k, func() prometheus.Counter { return c.vec.WithLabelValues(c.labels(k)...) })
}

// histograms is a histogram with one label.
type histograms struct {
	vec *prometheus.HistogramVec
	all children[string, prometheus.Observer]
}

func newHistograms(name, help, label string, buckets []float64) *histograms {
	return &histograms{
		vec: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{label}),
		all: children[string, prometheus.Observer]{known: map[string]prometheus.Observer{}},
	}
}

func (h *histograms) of(word string) prometheus.Observer {
	return h.all.of(word, func() prometheus.Observer { return h.vec.WithLabelValues(word) })
}
