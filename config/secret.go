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

// Secret is a value that is never printed as a whole. The URL of a database is printed
// without its password, any other secret not at all.
type Secret struct{ value string }

// Reveal returns the value.
func (s Secret) Reveal() string { return s.value }

// String returns the URL of a database without its password and other secret
// parameters; for any other value it reveals nothing.
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

// hidden matches the parameters of a database URL that are never printed.
var hidden = regexp.MustCompile(`(?i)pass|pwd|secret|token`)

// isServer reports whether a URL scheme is that of a database server.
func isServer(scheme string) bool {
	return scheme == "postgres" || scheme == "postgresql" || scheme == "mysql"
}

// parseServer parses the URL of a database server. Its errors contain no part of the
// URL.
func parseServer(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errUnparsable
	}
	// A password that contains / ? or # ends the URL's authority early. The rest can
	// still look like a URL, with user:12 as host and port, and the rest of the
	// password would be printed as a path. The @ after the password reveals this.
	after := u.EscapedPath() + "?" + u.RawQuery
	if _, err := url.ParseQuery(u.RawQuery); err != nil || strings.ContainsAny(after, "@") || strings.Contains(s, "#") {
		return nil, errUnparsable
	}
	return u, nil
}

var errUnparsable = errors.New("it cannot be parsed; special characters in a user name or password must be percent-encoded: @ is %40, / is %2F, ? is %3F, # is %23")

// Format prints String for every verb. Otherwise verbs such as %d would print the
// value.
func (s Secret) Format(f fmt.State, verb rune) {
	switch verb {
	case 'q', 'x', 'X':
		fmt.Fprintf(f, fmt.FormatString(f, verb), s.String())
	default:
		io.WriteString(f, s.String())
	}
}

// LogValue returns what String returns, for logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText returns what String returns, for encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the value.
func (s *Secret) UnmarshalText(b []byte) error {
	if strings.ContainsAny(string(b), "\x00\r\n") {
		return errors.New("it holds a line break or a NUL")
	}
	s.value = string(b)
	return nil
}
