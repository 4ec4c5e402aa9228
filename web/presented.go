package web

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/ingam/ingam/authz/clients"
)

// presented reads what a request shows to prove which client it comes from. form is
// its body.
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

// headersOf is how many of a request's Authorization headers are meant for client
// authentication. A Bearer token is not: apps have something put it on all that they
// send. It is overlooked, and authorizes nothing here.
func headersOf(r *http.Request) int {
	values := r.Header.Values("Authorization")
	if len(values) == 1 {
		if scheme, _, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			return 0
		}
	}
	return len(values)
}

// from is where a request comes from, as far as that is one subscriber's. What has no
// address, as on a Unix socket, comes from one place. The address in r.RemoteAddr is the
// client's own: addressed has looked through trusted proxies.
func from(r *http.Request) netip.Prefix {
	address, _ := netip.ParseAddr(r.RemoteAddr)
	return subscriber(address)
}

// subscriber returns an IPv4 address, or the /64 of an IPv6 one, which is what a
// single subscriber is given: failures are counted by it, and whoever has a /64 could
// fail from as many addresses as they like.
func subscriber(address netip.Addr) netip.Prefix {
	address = address.Unmap().WithZone("")
	bits := address.BitLen()
	if address.Is6() {
		bits = 64
	}
	prefix, _ := address.Prefix(bits)
	return prefix
}

// written is a subscriber as text: an IPv4 address without the length of its prefix.
func written(subscriber netip.Prefix) string {
	switch {
	case !subscriber.IsValid():
		return ""
	case subscriber.IsSingleIP():
		return subscriber.Addr().String()
	}
	return subscriber.String()
}
