package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// asked is what is asked when the metrics are read.
type asked struct{ Sources }

func described(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	listeners     = described("ingam_status_listeners", "Verifiers that listen to the stream of this process.")
	changesBehind = described("ingam_changes_behind_seconds", "For how long this process has not known what was changed; 0 while it does.")
	listsBehind   = described("ingam_status_lists_behind_seconds", "For how long the status lists of this process have not been vouched for; 0 while they are.")

	lists      = described("ingam_status_lists", "Status lists that tokens may refer to.")
	statuses   = described("ingam_statuses", "Statuses that these lists have room for.")
	set        = described("ingam_statuses_set", "Statuses that are set: those of tokens that were taken back, given out or not.")
	listsBuilt = described("ingam_status_lists_build_seconds", "How long it took to read all that is set in the lists, the last time that it was.")

	keys    = described("ingam_keys", "Keys of a ring that are in a state; without one that is published, the next rotation has nothing to rotate to.", "ring", "state")
	keyAge  = described("ingam_key_age_seconds", "For how long the key that signs has signed.", "ring")
	keyNext = described("ingam_key_rotation_due_seconds", "When the next key begins to sign; there is none while no key is published to follow.", "ring")

	writable   = described("ingam_database_writable", "Whether the database could be written to when that was last tried: 1 or 0.")
	poolMost   = described("ingam_database_max_open_connections", "Connections that a pool may have; 0 is any number.", "pool")
	poolOpen   = described("ingam_database_open_connections", "Connections that a pool has.", "pool")
	poolInUse  = described("ingam_database_in_use_connections", "Connections of a pool that are in use.", "pool")
	poolIdle   = described("ingam_database_idle_connections", "Connections of a pool that are not in use.", "pool")
	poolWaits  = described("ingam_database_waits_total", "Times that a connection of a pool had to be waited for.", "pool")
	poolWaited = described("ingam_database_wait_seconds_total", "For how long connections of a pool were waited for.", "pool")
)

// keyStates are those that are told even when no key is in them.
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
