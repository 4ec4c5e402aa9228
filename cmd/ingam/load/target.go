package load

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Target is the one server that requests are sent to.
type Target struct {
	// host is the value of the Host header.
	host    string
	address string
	tls     *tls.Config // nil for http
}

// To returns the server at an http or https URL, of which only scheme and host count.
func To(base *url.URL) (Target, error) {
	if base.Hostname() == "" {
		return Target{}, fmt.Errorf("%q names no host", base)
	}
	t := Target{host: base.Host}
	port := base.Port()
	switch base.Scheme {
	case "http":
		t.address = net.JoinHostPort(base.Hostname(), withDefault(port, "80"))
	case "https":
		t.address = net.JoinHostPort(base.Hostname(), withDefault(port, "443"))
		// Only HTTP/1.1 is spoken here.
		t.tls = &tls.Config{ServerName: base.Hostname(), NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}
	default:
		return Target{}, fmt.Errorf("%q begins with neither http:// nor https://", base)
	}
	return t, nil
}

func withDefault(port, usual string) string {
	if port == "" {
		return usual
	}
	return port
}

// Get returns the text of a GET request. Header fields are given as names and values in
// turn.
func (t Target) Get(path string, header ...string) string {
	return t.text("GET", path, header) + "\r\n"
}

// Post returns the text of a POST request.
func (t Target) Post(path, contentType, body string, header ...string) string {
	return t.text("POST", path, header) + "Content-Type: " + contentType + "\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
}

// Form returns the text of a POST request with a form.
func (t Target) Form(path string, form url.Values, header ...string) string {
	return t.Post(path, "application/x-www-form-urlencoded", form.Encode(), header...)
}

func (t Target) text(method, path string, header []string) string {
	var b strings.Builder
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: " + t.host + "\r\n")
	for i := 0; i+1 < len(header); i += 2 {
		b.WriteString(header[i] + ": " + header[i+1] + "\r\n")
	}
	return b.String()
}

// Basic returns the value of an Authorization header with the id and the secret of a
// client (RFC 6749 section 2.3.1).
func Basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

// Dial opens connections.
func (t Target) Dial(ctx context.Context, n int) ([]*Wire, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var wires []*Wire
	for range n {
		conn, err := t.dial(ctx)
		if err != nil {
			Close(wires)
			return nil, err
		}
		wires = append(wires, newWire(t, conn))
	}
	return wires, nil
}

func (t Target) dial(ctx context.Context) (net.Conn, error) {
	if t.tls == nil {
		return new(net.Dialer).DialContext(ctx, "tcp", t.address)
	}
	return (&tls.Dialer{Config: t.tls}).DialContext(ctx, "tcp", t.address)
}

// patience is how long a connection or an answer may take.
const patience = 30 * time.Second
