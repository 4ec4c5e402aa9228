package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ingam/ingam/authz/clients"
)

// presented reads the credentials by which a request identifies its client. form is the
// request's body.
func presented(r *http.Request, form url.Values) clients.Presented {
	p := clients.Presented{
		Headers: headersOf(r),
		ID:      form.Get("client_id"), Secret: form.Get("client_secret"),
		Assertion: form.Has("client_assertion") || form.Has("client_assertion_type"),
		From:      from(r),
	}
	p.User, p.Password, p.Basic = r.BasicAuth()
	return p
}

// headersOf returns how many of a request's Authorization headers are meant for client
// authentication. A Bearer token is not: some apps add one to everything that they
// send. It is ignored here and authorizes nothing.
func headersOf(r *http.Request) int {
	values := r.Header.Values("Authorization")
	if len(values) == 1 {
		if scheme, _, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			return 0
		}
	}
	return len(values)
}

// from returns where a request comes from, as the network of one subscriber. All
// requests without an address, as on a Unix socket, come from the same place. The
// address in r.RemoteAddr is that of the client: addressed has looked through trusted
// proxies.
func from(r *http.Request) netip.Prefix { return fromAddress(r.RemoteAddr) }

func fromAddress(text string) netip.Prefix {
	address, _ := netip.ParseAddr(text)
	return subscriber(address)
}

// subscriber returns an IPv4 address, or the /64 network of an IPv6 address, because
// that is what one subscriber gets. Failures are counted per subscriber; counted per
// address, whoever has a /64 could fail from as many addresses as they like.
func subscriber(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}

// written formats a subscriber: an IPv4 address without the length of its prefix.
func written(subscriber netip.Prefix) string {
	switch {
	case !subscriber.IsValid():
		return ""
	case subscriber.IsSingleIP():
		return subscriber.Addr().String()
	}
	return subscriber.String()
}
