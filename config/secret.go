package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
)

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
