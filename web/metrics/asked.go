package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// asked collects the metrics that are read from the server whenever somebody fetches
// the metrics.
type asked struct{ Sources }

func described(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	listeners     = described("ingam_status_listeners", "Verifiers that listen to the stream of this process.")
	changesBehind = described("ingam_changes_behind_seconds", "For how long this process has not known whether its records in memory are current; 0 while it knows.")
	listsBehind   = described("ingam_status_lists_behind_seconds", "For how long this process has not known whether its status lists are current; 0 while it knows.")

	lists      = described("ingam_status_lists", "Status lists that tokens may refer to.")
	statuses   = described("ingam_statuses", "Statuses (bits) that these lists have room for.")
	set        = described("ingam_statuses_set", "Statuses (bits) that are set, for revoked tokens; some belong to indices that no token uses.")
	listsBuilt = described("ingam_status_lists_build_seconds", "How long it took to build the status lists from the database, the last time.")

	keys    = described("ingam_keys", "Keys of a ring by state. Without a published one, there is no key for the next rotation.", "ring", "state")
	keyAge  = described("ingam_key_age_seconds", "For how long the present signing key has signed.", "ring")
	keyNext = described("ingam_key_rotation_due_seconds", "Seconds until the next key begins to sign; absent while there is no next key.", "ring")

	writable   = described("ingam_database_writable", "Whether the last attempt to write to the database succeeded: 1 or 0.")
	poolMost   = described("ingam_database_max_open_connections", "Greatest number of connections of a pool; 0 means no limit.", "pool")
	poolOpen   = described("ingam_database_open_connections", "Open connections of a pool.", "pool")
	poolInUse  = described("ingam_database_in_use_connections", "Connections of a pool that are in use.", "pool")
	poolIdle   = described("ingam_database_idle_connections", "Connections of a pool that are not in use.", "pool")
	poolWaits  = described("ingam_database_waits_total", "How often a connection of a pool had to be waited for.", "pool")
	poolWaited = described("ingam_database_wait_seconds_total", "Time spent waiting for connections of a pool.", "pool")
)

// keyStates are the states that are reported even if no key is in them.
var keyStates = []string{"published", "active", "retired", "gone", "withdrawn"}

// Describe implements prometheus.Collector.
func (a asked) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		listeners, changesBehind, listsBehind, lists, statuses, set, listsBuilt, keys, keyAge, keyNext,
		writable, poolMost, poolOpen, poolInUse, poolIdle, poolWaits, poolWaited,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (a asked) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	counter := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
	}
	gauge(listeners, float64(a.Listeners()))
	gauge(changesBehind, max(0, a.Changes().Seconds()))
	gauge(listsBehind, max(0, a.Lists().Seconds()))
	if a.Writable() {
		gauge(writable, 1)
	} else {
		gauge(writable, 0)
	}
	s := a.Statuses()
	gauge(lists, float64(s.Lists))
	gauge(statuses, float64(s.Bits))
	gauge(set, float64(s.Set))
	gauge(listsBuilt, s.Built.Seconds())
	a.collectKeys(gauge)
	for name, p := range a.Pools() {
		gauge(poolMost, float64(p.MaxOpenConnections), name)
		gauge(poolOpen, float64(p.OpenConnections), name)
		gauge(poolInUse, float64(p.InUse), name)
		gauge(poolIdle, float64(p.Idle), name)
		counter(poolWaits, float64(p.WaitCount), name)
		counter(poolWaited, p.WaitDuration.Seconds(), name)
	}
}

func (a asked) collectKeys(gauge func(*prometheus.Desc, float64, ...string)) {
	now, rings := a.Now(), map[string]map[string]int{}
	until := func(t time.Time) float64 { return t.Sub(now).Seconds() }
	for _, k := range a.Keys() {
		if rings[k.Ring] == nil {
			rings[k.Ring] = map[string]int{}
			for _, state := range keyStates {
				rings[k.Ring][state] = 0
			}
		}
		rings[k.Ring][k.State]++
		if k.State != "active" {
			continue
		}
		gauge(keyAge, -until(k.SignsFrom), k.Ring)
		if !k.RetiresAt.IsZero() {
			gauge(keyNext, until(k.RetiresAt), k.Ring)
		}
	}
	for ring, states := range rings {
		for state, n := range states {
			gauge(keys, float64(n), ring, state)
		}
	}
}
