package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ingam/ingam/config/limits"
)

// Duration is a time.Duration that can also be written in whole days (30d).
type Duration time.Duration

// Std returns the time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string {
	if v := time.Duration(d); v != 0 && v%limits.Day == 0 {
		return strconv.FormatInt(int64(v/limits.Day), 10) + "d"
	}
	// 1h0m0s reads better as 1h.
	s := time.Duration(d).String()
	s = strings.Replace(s, "m0s", "m", 1)
	return strings.Replace(s, "h0m", "h", 1)
}

// MarshalText returns what String returns.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads 90s, 15m, 36h, 30d.
func (d *Duration) UnmarshalText(b []byte) error {
	s := string(b)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseInt(days, 10, 32)
		if err != nil || n < 0 || n > 36500 {
			return fmt.Errorf("%s is not a duration; write for example 30d", quoted(s))
		}
		*d = Duration(n) * Duration(limits.Day)
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

// size is a number of bytes.
type size int64

var units = []struct {
	suffix string
	bytes  int64
}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}, {"", 1}}

func (s size) String() string {
	for _, u := range []int{2, 1, 0} {
		if v := int64(s); v != 0 && v%units[u].bytes == 0 {
			return strconv.FormatInt(v/units[u].bytes, 10) + units[u].suffix
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// MarshalText returns what String returns.
func (s size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads 65536, 64KiB, 1MiB.
func (s *size) UnmarshalText(b []byte) error {
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
		*s = size(n * u.bytes)
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

// Path returns the path as it was written; empty if there is none.
func (u URL) Path() string {
	if u.parsed == nil {
		return ""
	}
	return u.parsed.EscapedPath()
}

// Host returns the host with its port; empty if there is no URL.
func (u URL) Host() string {
	if u.parsed == nil {
		return ""
	}
	return u.parsed.Host
}

// MarshalText returns the URL as it was written.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.text), nil }

// UnmarshalText parses a URL. Only one spelling of a URL is accepted, because issuers
// are compared byte by byte (RFC 8414 section 3.3).
func (u *URL) UnmarshalText(b []byte) error {
	s := string(b)
	if s == "" {
		*u = URL{}
		return nil
	}
	parsed, err := url.Parse(s)
	switch {
	case err != nil || !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") || parsed.Hostname() == "":
		// The parser's error would repeat a password in the URL.
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

// portable reports whether u has no port, or one that a client can connect to.
func portable(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// loopback reports whether the URL can be reached from this machine only.
func (u URL) loopback() bool {
	host := u.parsed.Hostname()
	if host == "localhost" || strings.HasSuffix(host, ".localhost") { // RFC 6761 section 6.3
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// link is a URL for people to follow; empty if there is none.
type link string

// UnmarshalText parses a link: https, http on this machine, or mailto.
func (l *link) UnmarshalText(b []byte) error {
	s := string(b)
	u, err := url.Parse(s)
	web := err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && URL{s, u}.loopback())
	mail := err == nil && u.Scheme == "mailto" && strings.Contains(u.Opaque, "@")
	if s != "" && (!web && !mail || u.User != nil || len(s) > 500) {
		return errors.New("it is no address that people can follow; write for example https://example.com/help or mailto:help@example.com")
	}
	*l = link(s)
	return nil
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// quoted returns a value as an error message shows it. A value with an @ may be a
// database URL in the wrong place, with its password, and is not shown.
func quoted(s string) string {
	if strings.Contains(s, "@") || len(s) > 200 {
		return "the value"
	}
	return strconv.Quote(s)
}
