package config

import (
	"fmt"
	"log/slog"
	"net/netip"
	"net/url"
	"strings"
)

// prefixes is a list of networks.
type prefixes []netip.Prefix

// MarshalText writes the list in YAML's flow style.
func (p prefixes) MarshalText() ([]byte, error) {
	list := make([]string, len(p))
	for i, x := range p {
		list[i] = x.String()
	}
	return []byte(strings.Join(list, ",")), nil
}

// UnmarshalText reads addresses and networks, separated by commas or spaces.
func (p *prefixes) UnmarshalText(b []byte) error {
	*p = nil
	for _, s := range split(string(b)) {
		prefix, err := netip.ParsePrefix(s)
		if err != nil {
			addr, err := netip.ParseAddr(s)
			if err != nil {
				return fmt.Errorf("%s is neither an address nor a network; write for example 10.0.0.7 or 10.0.0.0/8", quoted(s))
			}
			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if prefix.Addr().Is4In6() {
			return fmt.Errorf("%q is an IPv4 address in IPv6 form; write it as IPv4", s)
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

// origins is a list of web origins, or "*".
type origins []string

// MarshalText writes the list, separated by commas.
func (o origins) MarshalText() ([]byte, error) { return []byte(strings.Join(o, ",")), nil }

// UnmarshalText reads origins (RFC 6454 section 6.2), separated by commas or
// spaces.
func (o *origins) UnmarshalText(b []byte) error {
	*o = nil
	for _, s := range split(string(b)) {
		u, err := url.Parse(s)
		// A browser sends its origin in lower case. A * inside an origin would be a
		// wildcard, which admits hosts that nobody has listed.
		if s != "*" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !portable(u) ||
			u.Scheme+"://"+u.Host != s || s != strings.ToLower(s) || strings.Contains(s, "*")) {
			return fmt.Errorf("%s is not an origin; write for example https://app.example.com, or *", quoted(s))
		}
		*o = append(*o, s)
	}
	return nil
}

// level is the lowest level that is logged.
type level slog.Level

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Level returns the slog.Level.
func (l level) Level() slog.Level { return slog.Level(l) }

// MarshalText returns the name of the level.
func (l level) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

// UnmarshalText reads debug, info, warn or error.
func (l *level) UnmarshalText(b []byte) error {
	known, ok := levels[string(b)]
	if !ok {
		return fmt.Errorf("%s is not a level; there are debug, info, warn and error", quoted(string(b)))
	}
	*l = level(known)
	return nil
}

// format is the format of the log: json or text.
type format string

// MarshalText writes its name.
func (f format) MarshalText() ([]byte, error) { return []byte(f), nil }

// UnmarshalText reads json or text.
func (f *format) UnmarshalText(b []byte) error {
	switch *f = format(b); *f {
	case "json", "text":
		return nil
	}
	return fmt.Errorf("%s is not a format; there are json and text", quoted(string(b)))
}

// engine is what makes RSA signatures: auto, go or openssl.
type engine string

// MarshalText writes its name.
func (e engine) MarshalText() ([]byte, error) { return []byte(e), nil }

// UnmarshalText reads auto, go or openssl.
func (e *engine) UnmarshalText(b []byte) error {
	switch *e = engine(b); *e {
	case "auto", "go", "openssl":
		return nil
	}
	return fmt.Errorf("%s is not an engine; there are auto, go and openssl", quoted(string(b)))
}

// forwarded is the header in which proxies name the client: x-forwarded-for or
// forwarded.
type forwarded string

// MarshalText writes its name.
func (f forwarded) MarshalText() ([]byte, error) { return []byte(f), nil }

// UnmarshalText reads x-forwarded-for or forwarded.
func (f *forwarded) UnmarshalText(b []byte) error {
	switch *f = forwarded(b); *f {
	case "x-forwarded-for", "forwarded":
		return nil
	}
	return fmt.Errorf("%s is no header that proxies write; there are x-forwarded-for and forwarded", quoted(string(b)))
}

// pkce is the default rule for PKCE of new clients: required, nonce or optional.
type pkce string

// MarshalText writes its name.
func (p pkce) MarshalText() ([]byte, error) { return []byte(p), nil }

// UnmarshalText reads required, nonce or optional.
func (p *pkce) UnmarshalText(b []byte) error {
	switch *p = pkce(b); *p {
	case "required", "nonce", "optional":
		return nil
	}
	return fmt.Errorf("%s is not a rule for PKCE; there are required, nonce and optional", quoted(string(b)))
}
