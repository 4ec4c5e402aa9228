package storage

import (
	"context"
	"net"
	"sync"
	"time"
)

// A connection can die silently: after a failover behind a NAT or a load balancer,
// nobody answers and nobody closes it. These bounds say how long silence counts as a
// slow answer.
const (
	// unacknowledged is how long sent data may stay without any acknowledgement, and
	// about how long an unused connection may be dead unnoticed. It is shorter than
	// http.request_timeout, so that a request can still fail with a clear error.
	unacknowledged = 5 * time.Second
	// mostSilence is how long a server may take to begin an answer, and between two
	// parts of it. It catches what unacknowledged cannot: a proxy that acknowledges
	// everything and forwards nothing.
	mostSilence = 30 * time.Second
)

// dial opens a TCP connection to a database server, with these bounds.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: unacknowledged, Interval: 2 * time.Second, Count: 3},
		Control:         boundUnacknowledged,
	}
	return d.DialContext(ctx, network, address)
}

// dialImpatiently is dial with a time limit for each read, for drivers that would wait
// for an answer as long as their context lasts.
func dialImpatiently(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &impatient{Conn: conn, silence: mostSilence}, nil
}

// impatient is a connection on which a read fails after mostSilence.
type impatient struct {
	net.Conn
	silence time.Duration

	mu sync.Mutex
	// until is the deadline set by the user of the connection. It counts if it is
	// earlier.
	until time.Time
}

func (c *impatient) Read(b []byte) (int, error) {
	c.mu.Lock()
	until := time.Now().Add(c.silence)
	if !c.until.IsZero() && c.until.Before(until) {
		until = c.until
	}
	err := c.Conn.SetReadDeadline(until)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *impatient) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetDeadline(t)
}

func (c *impatient) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetReadDeadline(t)
}
