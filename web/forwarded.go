package web

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// forwarding finds the client's address in the headers that proxies add to a request.
type forwarding struct {
	// trusted are the addresses of the proxies whose header is believed.
	trusted []netip.Prefix
	// header is the header that these proxies write. No other is read: a proxy that
	// writes one passes on another as the client sent it.
	header string
}

// client returns the client's address without a port; ok is false if the peer itself
// has no address, as on a Unix socket. Each proxy appends the address that it was
// connected to. So the header is read from its end, and is true as long as a trusted
// proxy wrote the entry; the client may have invented everything before that.
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
				// This proxy hides the address or does not know it, so it is unknown
				// who wrote the remaining entries.
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

// forwardedFor returns the client that an element of a Forwarded header names (RFC 7239
// section 5.2); empty if it names none, or several.
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

// cutLast cuts s at the last sep outside a quoted string. It reads from the end, which
// a trusted proxy wrote. Read from the start, a quote that the client opens and never
// closes would swallow what the proxy adds.
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

// address parses an IP address as proxies and Go's server write it: alone or with a
// port. IPv6 addresses with a port are in brackets; some without are too.
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
	// The same client must have one form of address, however the socket or the proxy
	// writes it.
	return a.Unmap().WithZone(""), true
}

// withPort matches an address with a port, which may be obfuscated (RFC 7239 section
// 6.3), or an IPv6 address in brackets.
var withPort = regexp.MustCompile(`^(?:\[([^\[\]]+)\]|([0-9.]+))(?::(?:[0-9]{1,5}|_[0-9A-Za-z._-]+))?$`)
