package storage

import (
	"context"
	"net"
	"sync"
	"time"
)

// Connections can fall silent: after a failover behind a NAT or a load balancer,
// nobody answers and nobody says that they are over. These bound for how long that
// is taken for a slow answer.
const (
	// unacknowledged is how long a server may leave what it was sent without any
	// sign at all, and about how long an unused connection may be dead unnoticed.
	// It is below http.request_timeout.
	unacknowledged = 5 * time.Second
	// mostSilence is how long a server may think about an answer, and between two
	// parts of it: something on the way may take what is sent and pass nothing on.
	mostSilence = 30 * time.Second
)

// dial is how servers are connected to.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: unacknowledged, Interval: 2 * time.Second, Count: 3},
		Control:         boundUnacknowledged,
	}
	return d.DialContext(ctx, network, address)
}

// dialImpatiently is dial for drivers that wait for an answer as long as their
// context lasts.
func dialImpatiently(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &impatient{Conn: conn, silence: mostSilence}, nil
}

// impatient is a connection on which each reading fails after a time of silence.
type impatient struct {
	net.Conn
	silence time.Duration

	mu sync.Mutex
	// until is the deadline that its user has set, which counts if it is earlier.
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
