package between

import (
	"net"
	neturl "net/url"
	"sync"
	"testing"
)

// Relay is a TCP proxy between a Store and a database server. It can do to their
// connections what a network can: disappear, be silent, or end them in the middle of a
// message.
type Relay struct {
	address, server string

	mu       sync.Mutex
	listener net.Listener
	pairs    map[*pair]bool
	// fault is the fault in effect; nil if there is none.
	fault *fault
}

// pair is a connection from a Store and the connection to the server that it is
// forwarded to.
type pair struct {
	client, server net.Conn
	// mute says that nothing is forwarded any more, and that the connections stay open.
	mute bool
}

func (p *pair) close() {
	p.client.Close()
	p.server.Close()
}

// way is one of the two directions in which data passes through a Relay.
type way int

const (
	// questions are what the Store sends.
	questions way = iota
	// answers are what the server sends.
	answers
)

// fault is a fault in one direction: of each connection some bytes pass, counted from
// its beginning. Then it is ended or, if silent, the rest is lost.
type fault struct {
	way    way
	bytes  int
	silent bool
	passed map[*pair]int
}

// NewRelay puts a Relay in front of a database of Servers, until the test ends. It
// returns the URL through it.
func NewRelay(t testing.TB, url string) (through string, r *Relay) {
	t.Helper()
	u, err := neturl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	r = &Relay{address: "127.0.0.1:0", server: u.Host, pairs: map[*pair]bool{}}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Stop()
		r.mu.Lock()
		defer r.mu.Unlock()
		for p := range r.pairs {
			p.close() // also those that are silent for ever
		}
	})
	u.Host = r.address
	return u.String(), r
}

// Start accepts connections, at the same address as before a Stop.
func (r *Relay) Start() error {
	l, err := net.Listen("tcp", r.address)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.listener, r.address = l, l.Addr().String()
	r.mu.Unlock()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.connect(l, client)
		}
	}()
	return nil
}

// Stop ends all connections and accepts no further ones, like a server that was stopped.
func (r *Relay) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.listener != nil {
		r.listener.Close()
		r.listener = nil
	}
	for p := range r.pairs {
		if !p.mute {
			p.close()
		}
	}
}

// Silence drops all answers until heal is called. Then it ends the connections, because
// something is missing in their answers.
func (r *Relay) Silence() (heal func()) {
	return r.fail(&fault{way: answers, silent: true})
}

// CutAnswers ends each connection after that many bytes of answers, counted from now,
// until heal is called.
func (r *Relay) CutAnswers(bytes int) (heal func()) {
	return r.fail(&fault{way: answers, bytes: bytes})
}

// CutQuestions is CutAnswers for what the Store sends to the server.
func (r *Relay) CutQuestions(bytes int) (heal func()) {
	return r.fail(&fault{way: questions, bytes: bytes})
}

// Forget makes all present connections silent forever, as a failover behind a NAT does:
// they accept data, answer nothing and do not end. New connections work.
func (r *Relay) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range r.pairs {
		p.mute = true
	}
}

func (r *Relay) fail(f *fault) (heal func()) {
	f.passed = map[*pair]int{}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = f
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fault = nil
		for p := range r.pairs {
			if f.silent {
				p.close()
			}
		}
	}
}

// connect forwards a connection that l has accepted.
func (r *Relay) connect(l net.Listener, client net.Conn) {
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		client.Close()
		return
	}
	p := &pair{client: client, server: server}
	r.mu.Lock()
	if r.listener != l { // stopped meanwhile
		p.close()
	}
	r.pairs[p] = true
	r.mu.Unlock()
	go r.pass(p, questions, client, server)
	r.pass(p, answers, server, client)
}

func (r *Relay) pass(p *pair, w way, from, to net.Conn) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		rest, ends := r.allows(p, w, b[:n])
		if len(rest) > 0 {
			if _, writeErr := to.Write(rest); writeErr != nil {
				ends = true
			}
		}
		if ends || err != nil {
			r.end(p)
			return
		}
	}
}

// allows returns how much of the data is forwarded, and whether the connection ends
// after it.
func (r *Relay) allows(p *pair, w way, read []byte) (rest []byte, ends bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.fault
	switch {
	case p.mute:
		return nil, false
	case f == nil || f.way != w:
		return read, false
	case f.silent:
		return nil, false
	}
	rest = read[:min(len(read), f.bytes-f.passed[p])]
	f.passed[p] += len(rest)
	return rest, len(read) > 0 && f.passed[p] >= f.bytes
}

// end closes both connections of a pair, unless they are mute.
func (r *Relay) end(p *pair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !p.mute {
		p.close()
		delete(r.pairs, p)
	}
}
