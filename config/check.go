package config

import (
	"errors"
	"fmt"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/config/limits"
)

// Need is a setting that a command cannot do without.
type Need int

// What commands can need.
const (
	ForIssuer Need = iota
	ForDatabase
	ForMasterKey
	// ForServe is everything that the server needs.
	ForServe
)

// Validate returns an error that says which settings the command needs are missing, and
// how to set them.
func (c *Config) Validate(needs ...Need) error {
	var missing []error
	needed := func(n Need) bool { return slices.Contains(needs, n) || slices.Contains(needs, ForServe) }
	if needed(ForIssuer) && c.Issuer.String() == "" {
		missing = append(missing, errors.New("issuer is not set: the URL that this server is known by; set INGAM_ISSUER (for example https://id.example.com), --issuer, or issuer in "+defaultFile))
	}
	if needed(ForDatabase) && c.Database.Reveal() == "" {
		missing = append(missing, errors.New("database is not set: where everything is kept; set INGAM_DATABASE (for example sqlite:ingam.db, postgres://user:password@host/name or mysql://user:password@host/name), --database, or database in "+defaultFile))
	}
	if needed(ForMasterKey) && c.MasterKeyFile == "" {
		missing = append(missing, errors.New("master_key_file is not set: the key that signing keys are sealed under; for a new database, make one with: ingam master-key new --out master.key, and set INGAM_MASTER_KEY_FILE, --master-key-file, or master_key_file in "+defaultFile))
	}
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("the configuration is not complete:\n%w", errors.Join(missing...))
}

// bound is the allowed range of a setting that is a duration, a size or a number.
type bound struct {
	key       string
	low, high int64
	// orZero says that 0 is allowed too, with a special meaning.
	orZero bool
}

func within(key string, low, high time.Duration) bound {
	return bound{key: key, low: int64(low), high: int64(high)}
}

func count(key string, low, high int64) bound { return bound{key: key, low: low, high: high} }

// bounds are the ranges of single settings. Those that other parts depend on are
// defined in package limits.
var bounds = []bound{
	within("http.read_header_timeout", 100*time.Millisecond, time.Hour),
	within("http.read_timeout", 100*time.Millisecond, time.Hour),
	within("http.write_timeout", 100*time.Millisecond, time.Hour),
	within("http.idle_timeout", time.Second, limits.Day),
	within("http.request_timeout", 100*time.Millisecond, time.Hour),
	within("http.drain_delay", 0, time.Hour),
	within("http.shutdown_timeout", 0, time.Hour),
	within("pool.max_lifetime", time.Second, 365*limits.Day),
	within("tokens.access_ttl", limits.MinAccessTTL, limits.MaxAccessTTL),
	within("tokens.refresh_ttl", 5*time.Minute, limits.MaxRefreshTTL),
	within("tokens.grant_ttl", 5*time.Minute, limits.MaxGrantTTL),
	within("tokens.refresh_grace", 0, limits.MaxRefreshGrace),
	within("sessions.idle_ttl", time.Minute, limits.MaxSessionTTL),
	within("sessions.ttl", time.Minute, limits.MaxSessionTTL),
	within("throttle.sign_in_window", time.Second, limits.MaxSignInWindow),
	within("tokens.skew", 0, limits.MaxSkew),
	within("keys.rotate_every", time.Hour, 3650*limits.Day),
	within("keys.jwks_max_age", 10*time.Second, limits.Day),
	within("keys.verifier_cache", 0, limits.Day),
	within("changes.staleness", 100*time.Millisecond, time.Minute),
	within("changes.retention", time.Minute, 365*limits.Day),
	{key: "audit.retention", low: int64(limits.Day), high: int64(36500 * limits.Day), orZero: true},
	within("status.max_age", time.Second, time.Hour),
	within("throttle.window", time.Second, limits.Day),
	within("purge.interval", time.Second, limits.Day),
	count("pool.max_open", 1, 10_000),
	count("pool.max_idle", 1, 10_000),
	count("passwords.at_once", 0, 1024),
	count("throttle.client_failures", 1, 1_000_000),
	count("throttle.sign_in_failures", 1, 1_000_000),
	count("status.list_size", 4096, 1<<24),
	count("purge.batch", 1, 1000),
	count("http.max_body", 1<<10, 64<<20),
	count("http.max_header", 4<<10, 1<<20),
}

// check reports settings whose value is readable but not allowed, and then settings
// that are each allowed but contradict each other. It skips settings that were reported
// already, because their effective value is not the one that was meant.
func (l *loader) check() {
	c := l.config
	if c.Issuer.parsed != nil && c.Issuer.parsed.Scheme == "http" && !c.Issuer.loopback() && !c.AllowInsecureIssuer && !l.broken["allow_insecure_issuer"] {
		l.refuse("issuer", "%s is http: tokens and secrets would cross the network in the clear; use https (or set allow_insecure_issuer, on a network that nobody else is on)", c.Issuer)
	}
	l.checkAddress("listen", c.Listen)
	if c.Metrics.Listen != "" {
		l.checkAddress("metrics.listen", c.Metrics.Listen)
	}
	if db := c.Database.Reveal(); db != "" {
		l.checkDatabase(db)
	}
	for _, b := range bounds {
		l.checkBound(b)
	}
	switch c.Keys.Bits {
	case 2048, 3072, 4096:
	default:
		l.refuse("keys.bits", "%d is none of 2048, 3072 and 4096", c.Keys.Bits)
	}
	// These are whole seconds in the protocols: in expires_in, and in max-age of
	// Cache-Control.
	for _, key := range []string{"tokens.access_ttl", "keys.jwks_max_age", "status.max_age"} {
		if d := l.byKey[key].field.Interface().(Duration); d.Std()%time.Second != 0 {
			l.refuse(key, "%s is not a whole number of seconds", d)
		}
	}
	if len(c.HTTP.CORSOrigins) > 1 && slices.Contains(c.HTTP.CORSOrigins, "*") {
		l.refuse("http.cors_origins", "* stands alone: it is all origins")
	}
	l.checkTogether()
}

// refuse reports what is wrong with a setting, unless it was reported already.
func (l *loader) refuse(key, format string, args ...any) {
	if !l.broken[key] {
		l.wrong(l.config.sources[key], key, format, args...)
	}
}

func (l *loader) checkAddress(key, listen string) {
	if host, port, err := net.SplitHostPort(listen); err != nil || strings.ContainsAny(host, " /") {
		l.refuse(key, "%s is not host:port; write for example 127.0.0.1:8080", quoted(listen))
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		l.refuse(key, "%s has no port from 0 to 65535", quoted(listen))
	}
}

func (l *loader) checkDatabase(url string) {
	scheme, rest, _ := strings.Cut(url, ":")
	switch {
	case scheme == "sqlite" && strings.HasPrefix(rest, "//"):
		l.refuse("database", "it begins with sqlite://; write sqlite:PATH, for example sqlite:ingam.db or sqlite:/var/lib/ingam/ingam.db")
	case scheme == "sqlite" && strings.HasPrefix(rest, ":memory:"):
		l.refuse("database", "a database in memory would be another one for each connection; name a file: sqlite:PATH")
	case scheme == "sqlite" && rest != "":
	case isServer(scheme) && strings.HasPrefix(rest, "//") && len(rest) > 2:
		if _, err := parseServer(url); err != nil {
			l.refuse("database", "%w", err)
		}
	default:
		l.refuse("database", "it is none of sqlite:PATH, postgres://… and mysql://…")
	}
}

func (l *loader) checkBound(b bound) {
	field := l.byKey[b.key].field
	if n := field.Int(); n >= b.low && n <= b.high || n == 0 && b.orZero {
		return
	}
	// Format a bound as the setting is written: as a duration, a size or a number.
	as := func(n int64) any {
		v := reflect.New(field.Type()).Elem()
		v.SetInt(n)
		return v.Interface()
	}
	l.refuse(b.key, "%v is not from %v to %v", field.Interface(), as(b.low), as(b.high))
}

// checkTogether checks the rules that concern several settings.
func (l *loader) checkTogether() {
	c := l.config
	given := func(key string) bool { return c.sources[key] != byDefault }
	if c.HTTP.WriteTimeout <= c.HTTP.RequestTimeout {
		l.together([]string{"http.write_timeout", "http.request_timeout"}, "http.write_timeout, %s, leaves no time to answer a request that took http.request_timeout, %s", c.HTTP.WriteTimeout, c.HTTP.RequestTimeout)
	}
	if ahead := c.Keys.JWKSMaxAge + c.Keys.VerifierCache + c.Changes.Staleness + c.Tokens.Skew; c.Keys.RotateEvery <= ahead {
		l.together([]string{"keys.rotate_every", "keys.jwks_max_age", "keys.verifier_cache", "changes.staleness", "tokens.skew"},
			"keys.rotate_every, %s, is not longer than a new key must be published ahead: %s (keys.jwks_max_age + keys.verifier_cache + changes.staleness + tokens.skew)", c.Keys.RotateEvery, ahead)
	}
	if c.Tokens.Skew >= c.Tokens.AccessTTL {
		l.together([]string{"tokens.skew", "tokens.access_ttl"}, "tokens.skew, %s, is not shorter than tokens.access_ttl, %s: a token would be taken for more than twice its life", c.Tokens.Skew, c.Tokens.AccessTTL)
	}
	// If only the other setting was set, the smaller of the two applies, silently. If
	// this one was set too, that is not what was meant.
	if c.Pool.MaxIdle > c.Pool.MaxOpen && given("pool.max_idle") {
		l.together([]string{"pool.max_idle", "pool.max_open"}, "pool.max_idle, %d, is more than pool.max_open, %d", c.Pool.MaxIdle, c.Pool.MaxOpen)
	}
	if c.HTTP.ReadHeaderTimeout > c.HTTP.ReadTimeout && given("http.read_header_timeout") {
		l.together([]string{"http.read_header_timeout", "http.read_timeout"}, "http.read_header_timeout, %s, is longer than http.read_timeout, %s, which the header is part of", c.HTTP.ReadHeaderTimeout, c.HTTP.ReadTimeout)
	}
}

// together reports that several settings contradict each other. The error names the
// place of the first one that somebody has set: a default has no place where it could
// be corrected.
func (l *loader) together(keys []string, format string, args ...any) {
	at := keys[0]
	for _, key := range slices.Backward(keys) {
		if l.broken[key] {
			return
		}
		if l.config.sources[key] != byDefault {
			at = key
		}
	}
	l.wrong(l.config.sources[at], at, format, args...)
}
