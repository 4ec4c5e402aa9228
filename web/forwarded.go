package web

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// forwarding finds a client's address in what proxies write into a request.
type forwarding struct {
	// trusted are the addresses of the proxies that are believed.
	trusted []netip.Prefix
	// header is the one that they write. No other is read: a proxy that writes one
	// passes on whatever the client wrote into another.
	header string
}

// client returns the client's address without a port; ok is false if the peer
// itself has none, as on a Unix socket. Each proxy adds whom it was connected to at
// the end, so what is read from there is true as long as it was written by a trusted
// one. What is left of that the client may have made up.
func (f forwarding) client(r *http.Request) (client netip.Addr, ok bool) {
	client, ok = address(r.RemoteAddr)
	if !ok {
		return client, false
	}
	for _, line := range slices.Backward(r.Header.Values(f.header)) {
		for more := true; more; {
			if !f.trusts(client) {
				return client, true
			}
			var element string
			line, element, more = cutLast(line, ',')
			next, known := f.address(element)
			if !known {
				// Who is behind this proxy is hidden or unknown, and who wrote what is left
				// of it as well.
				return client, true
			}
			client = next
		}
	}
	return client, true
}

func (f forwarding) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(f.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (f forwarding) address(element string) (netip.Addr, bool) {
	if strings.EqualFold(f.header, "Forwarded") {
		element = forwardedFor(element)
	}
	return address(strings.Trim(element, " \t"))
}

// forwardedFor returns what an element of a Forwarded header says about the client
// (RFC 7239 section 5.2); empty if it says nothing, or more than one thing.
func forwardedFor(element string) string {
	found := ""
	for more := true; more; {
		var pair string
		element, pair, more = cutLast(element, ';')
		name, value, _ := strings.Cut(strings.Trim(pair, " \t"), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found != "" {
			return ""
		}
		if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
			value = quotedPair.ReplaceAllString(value[1:len(value)-1], "$1")
		}
		found = value
	}
	return found
}

// quotedPair is a character with a backslash before it (RFC 9110 section 5.6.4).
var quotedPair = regexp.MustCompile(`\\(.)`)

// cutLast cuts s at the last sep that is not within a quoted string. It reads from
// the end, where the quotes are those of a trusted proxy: from the start, a client
// that opens one and leaves it open would swallow what the proxy adds.
func cutLast(s string, sep byte) (before, after string, found bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"':
			escapes := i - len(strings.TrimRight(s[:i], `\`))
			quoted = quoted != (escapes%2 == 0)
		case s[i] == sep && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}

// address reads an IP address as proxies and Go's server write it: bare, or with a
// port; an IPv6 one in brackets if it has a port, and sometimes without.
func address(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		m := withPort.FindStringSubmatch(s)
		if m == nil {
			return a, false
		}
		if a, err = netip.ParseAddr(m[1] + m[2]); err != nil || a.Is6() != (m[1] != "") {
			return a, false
		}
	}
	// One client has one address, however the socket or the proxy names it.
	return a.Unmap().WithZone(""), true
}

// withPort is an address with its port, which may be obfuscated (RFC 7239 section
// 6.3), or an IPv6 address in brackets.
var withPort = regexp.MustCompile(`^(?:\[([^\[\]]+)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?$`)
