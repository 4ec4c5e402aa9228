package clients

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// site is what browsers call so: scheme and registrable domain; for an address, the
// address.
type site struct{ scheme, domain string }

// SameSite reports whether two URLs are on one site, so that browsers send a page of
// the one the cookies of the other that are SameSite=Strict.
func SameSite(a, b string) bool {
	of := siteOf(a)
	return of != site{} && of == siteOf(b)
}

// siteOf returns the site of a URL, or the zero site for what is none.
func siteOf(address string) site {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return site{}
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(u.Hostname())
	if err != nil {
		domain = u.Hostname()
	}
	return site{u.Scheme, domain}
}

// OnSite refuses origins of another site than the issuer's, to which browsers do
// not send the cookie. Returns ErrInvalid.
func (c Client) OnSite(issuer string) error {
	for _, origin := range c.Origins {
		if !SameSite(origin, issuer) {
			return fmt.Errorf("%w: the origin %q is not on the site of the issuer %s, and its pages would not be sent the cookie", ErrInvalid, origin, issuer)
		}
	}
	return nil
}

// Home is the host by which people know the client, as in their browser's address
// bar, taken from the first of its addresses on the web; empty for a client that is
// on the device of whoever uses it, where no name says whose it is.
func (c *Client) Home() string {
	for _, scheme := range []string{"https", "http"} {
		for _, address := range slices.Concat(c.RedirectURIs, c.Origins) {
			u, err := url.Parse(address)
			if err != nil || u.Scheme != scheme || u.Hostname() == "" || loopback(u.Hostname()) {
				continue
			}
			host := strings.ToLower(u.Host)
			return strings.TrimSuffix(host, map[string]string{"https": ":443", "http": ":80"}[scheme])
		}
	}
	return ""
}

// hostName is a host as browsers write it. (What ends in a number they take for an
// address.)
var hostName = regexp.MustCompile(`^([a-z0-9-]+\.)*[a-z][a-z0-9-]*$`)

// validOrigin accepts what a browser can send in the header Origin, which is
// compared exactly (RFC 6454 section 6.2).
func validOrigin(s string) error {
	wrong := fmt.Errorf("%q is no web origin as browsers write it; write for example https://app.example.com", s)
	u, err := url.Parse(s)
	if err != nil {
		return wrong
	}
	host := u.Hostname()
	if ip, err := netip.ParseAddr(host); err == nil {
		if host = ip.String(); ip.Is6() {
			host = "[" + host + "]"
		}
	} else if !hostName.MatchString(host) {
		return wrong
	}
	if u.Port() != "" {
		port, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || port == 0 || u.Scheme == "https" && port == 443 || u.Scheme == "http" && port == 80 {
			return wrong
		}
		host = fmt.Sprintf("%s:%d", host, port)
	}
	switch {
	case u.Scheme+"://"+host != s:
		return wrong
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return fmt.Errorf("the web origin %q is http; only a loopback address may be", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return wrong
	}
	return nil
}
