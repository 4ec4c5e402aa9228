package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Duration is a time.Duration that also reads whole days.
type Duration time.Duration

// Std returns it as the standard library has it.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string {
	const day = 24 * time.Hour
	if v := time.Duration(d); v != 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	// 1h0m0s reads better as 1h.
	s := time.Duration(d).String()
	s = strings.Replace(s, "m0s", "m", 1)
	return strings.Replace(s, "h0m", "h", 1)
}

// MarshalText writes it as String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 90s, 15m, 36h, 30d.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n < 0 || n > 36500 {
			return fmt.Errorf("%s is not a duration; write for example 30d", quoted(s))
		}
		*d = Duration(n) * Duration(24*time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%s is not a duration; write for example 90s, 15m, 36h or 30d", quoted(s))
	}
	if v < 0 {
		return fmt.Errorf("%q is negative", s)
	}
	*d = Duration(v)
	return nil
}

// Size is a number of bytes.
type Size int64

var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

func (s Size) String() string {
	for _, u := range []int{2, 1, 0} {
		if v := int64(s); v != 0 && v%units[u].bytes == 0 {
			return strconv.FormatInt(v/units[u].bytes, 10) + units[u].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText writes it as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 65536, 64KiB, 1MiB.
func (s *Size) UnmarshalText(b []byte) error {
	text := strings.TrimSpace(string(b))
	for _, u := range units {
		digits, ok := strings.CutSuffix(text, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%s is not a size; write for example 65536, 64KiB or 1MiB", quoted(text))
}

// URL is an absolute http or https URL, kept as it was written.
type URL struct {
	text   string
	parsed *url.URL
}

func (u URL) String() string { return u.text }

// Path returns the path as it is written; empty if there is none.
func (u URL) Path() string {
	if u.parsed == nil {
		return ""
	}
	return u.parsed.EscapedPath()
}

// Host returns the host and its port; empty if there is no URL.
func (u URL) Host() string {
	if u.parsed == nil {
		return ""
	}
	return u.parsed.Host
}

// MarshalText writes it as it was read.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.text), nil }

// UnmarshalText reads one. It must be written the one way in which it is
// compared: an issuer is compared byte by byte (RFC 8414 section 3.3).
func (u *URL) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "" {
		*u = URL{}
		return nil
	}
	parsed, err := url.Parse(s)
	switch {
	case err != nil || !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") || parsed.Hostname() == "":
		// The parser's error would repeat a password in it.
		return errors.New("it is not an http or https URL; write for example https://id.example.com")
	case parsed.User != nil:
		return errors.New("it holds a user name or password")
	case parsed.RawQuery != "" || parsed.ForceQuery || strings.Contains(s, "#"):
		return fmt.Errorf("%s has a query or a fragment", quoted(s))
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q ends in a slash; leave it out: %s", s, strings.TrimRight(s, "/"))
	case !portable(parsed):
		return fmt.Errorf("%s has no port from 1 to 65535", quoted(s))
	case strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII }):
		return fmt.Errorf("%s has letters outside ASCII; write the host in its xn-- form, as it is on the wire", quoted(s))
	case parsed.Host != strings.ToLower(parsed.Host):
		return fmt.Errorf("%q has capital letters in its host; write %s", s, strings.ToLower(parsed.Host))
	case parsed.Path != "" && parsed.String() != s || strings.Contains(parsed.Path, "//") || dots.MatchString(parsed.Path) || strings.ContainsAny(s, "{}%"):
		return fmt.Errorf("%s has a path that can be written in another way", quoted(s))
	}
	*u = URL{s, parsed}
	return nil
}

var dots = regexp.MustCompile(`/\.\.?(/|$)`)

// portable reports whether u has no port, or one that can be connected to.
func portable(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// loopback reports whether only this machine reaches the URL.
func (u URL) loopback() bool {
	host := u.parsed.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Link is an address that people can follow; empty if there is none.
type Link string

// UnmarshalText reads one: https, http on this machine, or mailto.
func (l *Link) UnmarshalText(b []byte) error {
	s := string(b)
	u, err := url.Parse(s)
	web := err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && URL{s, u}.loopback())
	mail := err == nil && u.Scheme == "mailto" && strings.Contains(u.Opaque, "@")
	if s != "" && (!web && !mail || u.User != nil || len(s) > 500) {
		return errors.New("it is no address that people can follow; write for example https://example.com/help or mailto:help@example.com")
	}
	*l = Link(s)
	return nil
}

// Secret is a value that is printed only without what is secret in it.
type Secret struct{ value string }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// String returns the value without the password in it, if it is the URL of a
// database, and otherwise nothing of it.
func (s Secret) String() string {
	scheme, rest, _ := strings.Cut(s.value, ":")
	switch {
	case s.value == "":
		return ""
	case scheme == "sqlite":
		return s.value
	case isServer(scheme):
		u, err := parseServer(s.value)
		if err != nil || !strings.HasPrefix(rest, "//") {
			break
		}
		q := u.Query()
		for name := range q {
			if hidden.MatchString(name) {
				q.Set(name, "xxxxx")
			}
		}
		u.RawQuery = q.Encode()
		return u.Redacted()
	}
	return "[redacted]"
}

// hidden matches the parameters of a database's URL that are never printed.
var hidden = regexp.MustCompile(`(?i)pass|pwd|secret|token`)

// isServer reports whether a scheme is that of a database which is reached over
// the network.
func isServer(scheme string) bool {
	return scheme == "postgres" || scheme == "postgresql" || scheme == "mysql"
}

// parseServer parses the URL of such a database. Its errors hold nothing of the
// URL.
func parseServer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errUnparsable
	}
	// A password with one of / ? # in it ends the authority early. What comes
	// after it can still look like a URL, user:12 being host and port, and the
	// rest of the password would pass for a path and be printed. The @ that
	// closed the password gives it away.
	after := u.EscapedPath() + "?" + u.RawQuery
	if _, err := url.ParseQuery(u.RawQuery); err != nil || strings.ContainsAny(after, "@") || strings.Contains(s, "#") {
		return nil, errUnparsable
	}
	return u, nil
}

var errUnparsable = errors.New("it cannot be parsed; special characters in a user name or password must be percent-encoded: @ is %40, / is %2F, ? is %3F, # is %23")

// Format prints String for every verb: %d would otherwise reach past it.
func (s Secret) Format(f fmt.State, verb rune) {
	switch verb {
	case 'q', 'x', 'X':
		fmt.Fprintf(f, fmt.FormatString(f, verb), s.String())
	default:
		io.WriteString(f, s.String())
	}
}

// LogValue is String, for logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String, for whatever else prints.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads one.
func (s *Secret) UnmarshalText(b []byte) error {
	if strings.ContainsAny(string(b), "\x00\r\n") {
		return errors.New("it holds a line break or a NUL")
	}
	s.value = string(b)
	return nil
}

// MarshalText writes it as YAML's flow of a list does.
func (p Prefixes) MarshalText() ([]byte, error) {
	list := make([]string, len(p))
	for i, x := range p {
		list[i] = x.String()
	}
	return []byte(strings.Join(list, ",")), nil
}

// UnmarshalText reads addresses and networks, separated by commas or spaces.
func (p *Prefixes) UnmarshalText(b []byte) error {
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

// MarshalText writes the list, separated by commas.
func (o Origins) MarshalText() ([]byte, error) { return []byte(strings.Join(o, ",")), nil }

// UnmarshalText reads origins (RFC 6454 section 6.2), separated by commas or
// spaces.
func (o *Origins) UnmarshalText(b []byte) error {
	*o = nil
	for _, s := range split(string(b)) {
		u, err := url.Parse(s)
		// A browser sends its origin in lower case; and a * inside one would be
		// a wildcard, which admits hosts that nobody listed.
		if s != "*" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || !portable(u) ||
			u.Scheme+"://"+u.Host != s || s != strings.ToLower(s) || strings.Contains(s, "*")) {
			return fmt.Errorf("%s is not an origin; write for example https://app.example.com, or *", quoted(s))
		}
		*o = append(*o, s)
	}
	return nil
}

// Level is how much is logged.
type Level slog.Level

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

// Level returns it as package slog has it.
func (l Level) Level() slog.Level { return slog.Level(l) }

// MarshalText writes its name.
func (l Level) MarshalText() ([]byte, error) {
	return []byte(strings.ToLower(slog.Level(l).String())), nil
}

// UnmarshalText reads debug, info, warn or error.
func (l *Level) UnmarshalText(b []byte) error {
	level, ok := levels[string(b)]
	if !ok {
		return fmt.Errorf("%s is not a level; there are debug, info, warn and error", quoted(string(b)))
	}
	*l = Level(level)
	return nil
}

// MarshalText writes its name.
func (f Format) MarshalText() ([]byte, error) { return []byte(f), nil }

// UnmarshalText reads json or text.
func (f *Format) UnmarshalText(b []byte) error {
	switch *f = Format(b); *f {
	case "json", "text":
		return nil
	}
	return fmt.Errorf("%s is not a format; there are json and text", quoted(string(b)))
}

// MarshalText writes its name.
func (f Forwarded) MarshalText() ([]byte, error) { return []byte(f), nil }

// UnmarshalText reads x-forwarded-for or forwarded.
func (f *Forwarded) UnmarshalText(b []byte) error {
	switch *f = Forwarded(b); *f {
	case "x-forwarded-for", "forwarded":
		return nil
	}
	return fmt.Errorf("%s is no header that proxies write; there are x-forwarded-for and forwarded", quoted(string(b)))
}

// MarshalText writes its name.
func (p PKCE) MarshalText() ([]byte, error) { return []byte(p), nil }

// UnmarshalText reads required, nonce or optional.
func (p *PKCE) UnmarshalText(b []byte) error {
	switch *p = PKCE(b); *p {
	case "required", "nonce", "optional":
		return nil
	}
	return fmt.Errorf("%s is not a rule for PKCE; there are required, nonce and optional", quoted(string(b)))
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// quoted is a value as an error shows it. What has an @ in it may be the URL of
// a database that was put in the wrong place, password and all.
func quoted(s string) string {
	if strings.Contains(s, "@") || len(s) > 200 {
		return "the value"
	}
	return strconv.Quote(s)
}
