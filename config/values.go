package config

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
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
			return fmt.Errorf("%q is not a duration; write for example 30d", s)
		}
		*d = Duration(n) * Duration(24*time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration; write for example 90s, 15m, 36h or 30d", s)
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
	return fmt.Errorf("%q is not a size; write for example 65536, 64KiB or 1MiB", text)
}

// URL is an absolute http or https URL, kept as it was written.
type URL struct {
	text   string
	parsed *url.URL
}

func (u URL) String() string { return u.text }

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
	case err != nil || parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "":
		// The parser's error would repeat a password in it.
		return errors.New("it is not an http or https URL; write for example https://id.example.com")
	case parsed.User != nil:
		return errors.New("it holds a user name or password")
	case parsed.RawQuery != "" || parsed.ForceQuery || strings.Contains(s, "#"):
		return fmt.Errorf("%q has a query or a fragment", s)
	case strings.HasSuffix(s, "/"):
		return fmt.Errorf("%q ends in a slash; leave it out: %s", s, strings.TrimRight(s, "/"))
	case parsed.Host != strings.ToLower(parsed.Host):
		return fmt.Errorf("%q has capital letters in its host; write %s", s, strings.ToLower(parsed.Host))
	case parsed.Path != "" && parsed.String() != s || strings.Contains(parsed.Path, "//") || dots.MatchString(parsed.Path) || strings.ContainsAny(s, "{}%"):
		return fmt.Errorf("%q has a path that can be written in another way", s)
	}
	*u = URL{s, parsed}
	return nil
}

var dots = regexp.MustCompile(`/\.\.?(/|$)`)

// loopback reports whether only this machine reaches the URL.
func (u URL) loopback() bool {
	host := u.parsed.Hostname()
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Secret is a value that is printed only without what is secret in it.
type Secret struct{ value string }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// String returns the value without the password in it, if it is a URL, and
// otherwise nothing of it.
func (s Secret) String() string {
	scheme, rest, ok := strings.Cut(s.value, ":")
	switch {
	case s.value == "":
		return ""
	case scheme == "sqlite" && ok:
		return s.value
	case ok && strings.HasPrefix(rest, "//"):
		u, err := url.Parse(s.value)
		if err != nil {
			break
		}
		q := u.Query()
		for name := range q {
			if strings.Contains(strings.ToLower(name), "pass") {
				q.Set(name, "xxxxx")
			}
		}
		u.RawQuery = q.Encode()
		return u.Redacted()
	}
	return "[redacted]"
}

// GoString is String: %#v must not give the value away either.
func (s Secret) GoString() string { return s.String() }

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
				return fmt.Errorf("%q is neither an address nor a network; write for example 10.0.0.7 or 10.0.0.0/8", s)
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
		if s != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != s) {
			return fmt.Errorf("%q is not an origin; write for example https://app.example.com, or *", s)
		}
		*o = append(*o, s)
	}
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
	return fmt.Errorf("%q is not a format; there are json and text", b)
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}
