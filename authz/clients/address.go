package clients

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ingam/ingam/authz/apis"
)

// validAddress refuses an address to send people back to that would hand codes to
// somebody else, or run as script (RFC 9700 section 4.1, RFC 8252 sections 7 and
// 8.4). At a request the registered string is compared, so what matters is settled
// here.
func (c Client) validAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return fmt.Errorf("redirect URI %q cannot be parsed", s)
	}
	for _, r := range s {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("redirect URI %q holds a character that a URI cannot hold", s)
		}
	}
	switch {
	case len(s) > 2000:
		return fmt.Errorf("a redirect URI has at most 2000 characters")
	case !u.IsAbs():
		return fmt.Errorf("redirect URI %q is not absolute", s)
	case strings.Contains(s, "#"):
		return fmt.Errorf("redirect URI %q has a fragment (RFC 6749 section 3.1.2)", s)
	case u.User != nil:
		return fmt.Errorf("redirect URI %q has user information", s)
	case strings.Contains(s, "*"):
		return fmt.Errorf("redirect URI %q has a wildcard; redirect URIs are compared exactly", s)
	case strings.Contains(s, "\\"):
		return fmt.Errorf("redirect URI %q has a backslash, which browsers read as a slash", s)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." { // Path is decoded: %2e counts
			return fmt.Errorf("redirect URI %q has a dot segment, which browsers resolve", s)
		}
	}
	// What else a host may hold by the letter of RFC 3986 is of no use.
	if _, err := netip.ParseAddr(u.Hostname()); err != nil && strings.ContainsFunc(u.Hostname(), notInHost) || strings.Contains(u.Hostname(), "%") {
		return fmt.Errorf("redirect URI %q has a host that is neither a name nor an address", s)
	}
	if strings.HasSuffix(u.Host, ":") || u.Port() != "" && !isPort(u.Port()) {
		return fmt.Errorf("redirect URI %q has no port from 1 to 65535", s)
	}
	switch {
	case isWeb(u.Scheme) && u.Hostname() == "":
		return fmt.Errorf("redirect URI %q has no host", s)
	case inTheClear(s) && !c.InsecureRedirects:
		return fmt.Errorf("redirect URI %q is http, and not a loopback address: everyone on the way could read codes and change pages; use https (or --insecure-redirects, on a network that nobody else is on)", s)
	case isWeb(u.Scheme):
		return nil
	case isPort(before(u.Opaque, "/")):
		return fmt.Errorf("redirect URI %q begins with a host and a port; write http:// or https:// before it", s)
	case strings.Contains(u.Scheme, "."):
		return nil // its owner's domain, so that two apps do not claim the same (RFC 8252 section 7.1)
	case taken(u.Scheme):
		return fmt.Errorf("redirect URI %q: the scheme %s: means something else to browsers or systems", s, u.Scheme)
	case c.Auth != None:
		return fmt.Errorf("redirect URI %q: a scheme without a dot can be claimed by every program on a device, and is for clients without a secret alone; write the scheme as a domain name reversed, such as com.example.app (RFC 8252 section 7.1)", s)
	}
	return nil
}

// before returns what of a text comes before any of some characters.
func before(s, any string) string {
	if at := strings.IndexAny(s, any); at >= 0 {
		return s[:at]
	}
	return s
}

func notInHost(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_')
}

func isWeb(scheme string) bool { return scheme == "https" || scheme == "http" }

// isPort reports whether s is a port that can be connected to, written in the one
// way in which browsers write it.
func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

// takenSchemes run what is in the address, read files, or open something of the
// browser's or the system's own, which a redirect must never lead to.
var takenSchemes = []string{
	"javascript", "vbscript", "data", "blob", "about", "file", "filesystem", "view-source", "jar", "intent", "content", "resource",
	"ws", "wss", "ftp", "ftps", "mailto", "tel", "sms", "smsto", "search-ms", "shell", "urn",
}

func taken(scheme string) bool {
	return slices.Contains(takenSchemes, scheme) ||
		strings.HasPrefix(scheme, "chrome") || strings.HasPrefix(scheme, "ms-") || strings.HasSuffix(scheme, "-extension")
}

// claimed returns the scheme of an address that any program on the device can claim
// for itself, because no domain is in it; empty if it is another kind of address.
func claimed(address string) string {
	scheme, _, _ := strings.Cut(address, ":")
	if scheme = strings.ToLower(scheme); isWeb(scheme) || strings.Contains(scheme, ".") {
		return ""
	}
	return scheme
}

// MustAsk reports whether the person is asked for each code that goes to a redirect
// URI: any program can claim the scheme of one without a dot, and begin the sign-in
// too, so only the person knows whether it was the app that did (RFC 8252 section
// 8.6).
func MustAsk(redirectURI string) bool { return claimed(redirectURI) != "" }

// Warnings returns what is dangerous about the client's addresses, for whoever registers
// it. Nothing that it names is forbidden.
func (c Client) Warnings() []string {
	var warnings []string
	for _, address := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
		warning := ""
		if scheme := claimed(address); scheme != "" {
			warning = fmt.Sprintf("any program on a device can claim the scheme %s: and be sent what is meant for this client; people are always asked for consent (RFC 8252 section 8.6)", scheme)
		} else if inTheClear(address) {
			warning = fmt.Sprintf("%s is not encrypted: everyone on the way can read codes and change pages", address)
		}
		if warning != "" && !slices.Contains(warnings, warning) {
			warnings = append(warnings, warning)
		}
	}
	return warnings
}

// loopback reports whether only this machine reaches a host (RFC 6761 section 6.3
// for names).
func loopback(host string) bool {
	host = strings.ToLower(host)
	if host == "localhost" || strings.HasSuffix(host, ".localhost") && host != ".localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// loopbackAddress is an http address of this machine, cut up as it is written, so
// that nothing is normalised away.
type loopbackAddress struct{ host, port, rest string }

func onLoopback(address string) (a loopbackAddress, ok bool) {
	rest, ok := strings.CutPrefix(address, "http://")
	if !ok {
		return a, false
	}
	a.host = before(rest, `/?#\`)
	a.rest = rest[len(a.host):]
	if colon := strings.LastIndexByte(a.host, ':'); colon > strings.LastIndexByte(a.host, ']') {
		a.host, a.port = a.host[:colon], a.host[colon+1:]
		if !isPort(a.port) {
			return a, false
		}
	}
	return a, loopback(strings.Trim(a.host, "[]"))
}

// onAnyPort returns the one of a list of addresses that an address is but for the
// port, which an app on a desktop cannot choose (RFC 8252 section 7.3). same says
// which addresses are one.
func onAnyPort(list []string, address string, same func(registered, asked string) bool) (at loopbackAddress, ok bool) {
	asked, ok := onLoopback(address)
	if !ok {
		return at, false
	}
	for _, registered := range list {
		if at, ok = onLoopback(registered); ok && same("http://"+at.host+at.rest, "http://"+asked.host+asked.rest) {
			at.port = asked.port
			return at, true
		}
	}
	return at, false
}

// Redirects reports whether the client may be answered at a redirect URI: it is
// registered, byte for byte, or differs from a registered loopback address in
// nothing but the port.
func (c *Client) Redirects(uri string) bool {
	if slices.Contains(c.RedirectURIs, uri) {
		return true
	}
	_, ok := onAnyPort(c.RedirectURIs, uri, func(registered, asked string) bool { return registered == asked })
	return ok
}

// AfterLogout returns where the client may return people to when it asks for an
// address: that address as it is registered, a loopback one with the port that was
// asked for. A client that registered no addresses for that may use its redirect
// URIs: they are its own, and nothing but `state` is added to them.
func (c *Client) AfterLogout(asked string) (to string, ok bool) {
	list := c.PostLogoutRedirectURIs
	if len(list) == 0 {
		list = c.RedirectURIs
	}
	if to, ok = apis.Registered(list, asked); ok {
		return to, true
	}
	at, ok := onAnyPort(list, asked, func(registered, asked string) bool {
		_, same := apis.Registered([]string{registered}, asked)
		return same
	})
	if !ok {
		return "", false
	}
	to = "http://" + at.host
	if at.port != "" {
		to += ":" + at.port
	}
	return to + at.rest, true
}
