package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Need is something that a command cannot do without.
type Need int

// What commands can need.
const (
	ForIssuer Need = iota
	ForDatabase
	ForMasterKey
	// ForServe is all that the server needs.
	ForServe
)

// Validate says what is missing for what the command needs, and how to make
// it.
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

const day = 24 * time.Hour

// The longest lives that can be set. What must outlast a refresh token, a grant or
// a login session is kept for as long as these, and not for as long as is set: a
// process may have run with another setting.
const (
	MaxRefreshTTL = 90 * day
	MaxGrantTTL   = 90 * day
	MaxSessionTTL = 90 * day
)

// check says what is wrong with values that can each be read, and then with
// those that can each be right and yet not go together. It leaves out what is
// broken already: there the effective value is not the one that was meant.
func (l *loader) check() {
	c := l.config
	wrong := func(key, format string, args ...any) {
		if !l.broken[key] {
			l.wrong(c.sources[key], key, format, args...)
		}
	}
	// together is for a rule over several settings. What nobody set is no place
	// to send anyone to, so the error stands where the first was set that was.
	together := func(keys []string, format string, args ...any) {
		at := keys[0]
		for _, key := range slices.Backward(keys) {
			if l.broken[key] {
				return
			}
			if c.sources[key] != byDefault {
				at = key
			}
		}
		l.wrong(c.sources[at], at, format, args...)
	}
	given := func(key string) bool { return c.sources[key] != byDefault }

	if c.Issuer.parsed != nil && c.Issuer.parsed.Scheme == "http" && !c.Issuer.loopback() && !c.AllowInsecureIssuer && !l.broken["allow_insecure_issuer"] {
		wrong("issuer", "%s is http: tokens and secrets would cross the network in the clear; use https (or set allow_insecure_issuer, on a network that nobody else is on)", c.Issuer)
	}
	address := func(key, listen string) {
		if host, port, err := net.SplitHostPort(listen); err != nil || strings.ContainsAny(host, " /") {
			wrong(key, "%s is not host:port; write for example 127.0.0.1:8080", quoted(listen))
		} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			wrong(key, "%s has no port from 0 to 65535", quoted(listen))
		}
	}
	address("listen", c.Listen)
	if c.Metrics.Listen != "" {
		address("metrics.listen", c.Metrics.Listen)
	}
	if db := c.Database.Reveal(); db != "" {
		scheme, rest, _ := strings.Cut(db, ":")
		switch {
		case scheme == "sqlite" && strings.HasPrefix(rest, "//"):
			wrong("database", "it begins with sqlite://; write sqlite:PATH, for example sqlite:ingam.db or sqlite:/var/lib/ingam/ingam.db")
		case scheme == "sqlite" && strings.HasPrefix(rest, ":memory:"):
			wrong("database", "a database in memory would be another one for each connection; name a file: sqlite:PATH")
		case scheme == "sqlite" && rest != "":
		case isServer(scheme) && strings.HasPrefix(rest, "//") && len(rest) > 2:
			if _, err := parseServer(db); err != nil {
				wrong("database", "%w", err)
			}
		default:
			wrong("database", "it is none of sqlite:PATH, postgres://… and mysql://…")
		}
	}
	between := func(key string, d Duration, low, high time.Duration) {
		if d.Std() < low || d.Std() > high {
			wrong(key, "%s is not from %s to %s", d, Duration(low), Duration(high))
		}
	}
	between("http.read_header_timeout", c.HTTP.ReadHeaderTimeout, 100*time.Millisecond, time.Hour)
	between("http.read_timeout", c.HTTP.ReadTimeout, 100*time.Millisecond, time.Hour)
	between("http.write_timeout", c.HTTP.WriteTimeout, 100*time.Millisecond, time.Hour)
	between("http.idle_timeout", c.HTTP.IdleTimeout, time.Second, day)
	between("http.request_timeout", c.HTTP.RequestTimeout, 100*time.Millisecond, time.Hour)
	between("http.drain_delay", c.HTTP.DrainDelay, 0, time.Hour)
	between("http.shutdown_timeout", c.HTTP.ShutdownTimeout, 0, time.Hour)
	between("pool.max_lifetime", c.Pool.MaxLifetime, time.Second, 365*day)
	between("tokens.access_ttl", c.Tokens.AccessTTL, time.Minute, day)
	between("tokens.refresh_ttl", c.Tokens.RefreshTTL, 5*time.Minute, MaxRefreshTTL)
	between("tokens.grant_ttl", c.Tokens.GrantTTL, 5*time.Minute, MaxGrantTTL)
	between("tokens.refresh_grace", c.Tokens.RefreshGrace, 0, 10*time.Minute)
	between("sessions.idle_ttl", c.Sessions.IdleTTL, time.Minute, MaxSessionTTL)
	between("sessions.ttl", c.Sessions.TTL, time.Minute, MaxSessionTTL)
	between("throttle.sign_in_window", c.Throttle.SignInWindow, time.Second, day)
	between("tokens.skew", c.Tokens.Skew, 0, 5*time.Minute)
	between("keys.rotate_every", c.Keys.RotateEvery, time.Hour, 3650*day)
	between("keys.jwks_max_age", c.Keys.JWKSMaxAge, 10*time.Second, day)
	between("keys.verifier_cache", c.Keys.VerifierCache, 0, day)
	between("changes.staleness", c.Changes.Staleness, 100*time.Millisecond, time.Minute)
	between("changes.retention", c.Changes.Retention, time.Minute, 365*day)
	if c.Audit.Retention != 0 {
		between("audit.retention", c.Audit.Retention, day, 36500*day)
	}
	between("status.max_age", c.Status.MaxAge, time.Second, time.Hour)
	between("throttle.window", c.Throttle.Window, time.Second, day)
	between("purge.interval", c.Purge.Interval, time.Second, day)
	count := func(key string, n, low, high int) {
		if n < low || n > high {
			wrong(key, "%d is not from %d to %d", n, low, high)
		}
	}
	count("pool.max_open", c.Pool.MaxOpen, 1, 10_000)
	count("pool.max_idle", c.Pool.MaxIdle, 1, 10_000)
	count("passwords.at_once", c.Passwords.AtOnce, 0, 1024)
	count("throttle.client_failures", c.Throttle.ClientFailures, 1, 1_000_000)
	count("throttle.sign_in_failures", c.Throttle.SignInFailures, 1, 1_000_000)
	count("status.list_size", c.Status.ListSize, 4096, 1<<24)
	count("purge.batch", c.Purge.Batch, 1, 1000)
	size := func(key string, s Size, low, high Size) {
		if s < low || s > high {
			wrong(key, "%s is not from %s to %s", s, low, high)
		}
	}
	size("http.max_body", c.HTTP.MaxBody, 1<<10, 64<<20)
	size("http.max_header", c.HTTP.MaxHeader, 4<<10, 1<<20)
	switch c.Keys.Bits {
	case 2048, 3072, 4096:
	default:
		wrong("keys.bits", "%d is none of 2048, 3072 and 4096", c.Keys.Bits)
	}
	// On the wire both are whole seconds: expires_in, and Cache-Control's max-age.
	wholeSeconds := func(key string, d Duration) {
		if d.Std()%time.Second != 0 {
			wrong(key, "%s is not a whole number of seconds", d)
		}
	}
	wholeSeconds("tokens.access_ttl", c.Tokens.AccessTTL)
	wholeSeconds("keys.jwks_max_age", c.Keys.JWKSMaxAge)
	wholeSeconds("status.max_age", c.Status.MaxAge)

	if c.HTTP.WriteTimeout <= c.HTTP.RequestTimeout {
		together([]string{"http.write_timeout", "http.request_timeout"}, "http.write_timeout, %s, leaves no time to answer a request that took http.request_timeout, %s", c.HTTP.WriteTimeout, c.HTTP.RequestTimeout)
	}
	if ahead := c.Keys.JWKSMaxAge + c.Keys.VerifierCache + c.Changes.Staleness + c.Tokens.Skew; c.Keys.RotateEvery <= ahead {
		together([]string{"keys.rotate_every", "keys.jwks_max_age", "keys.verifier_cache", "changes.staleness", "tokens.skew"},
			"keys.rotate_every, %s, is not longer than a new key must be published ahead: %s (keys.jwks_max_age + keys.verifier_cache + changes.staleness + tokens.skew)", c.Keys.RotateEvery, ahead)
	}
	if len(c.HTTP.CORSOrigins) > 1 {
		for _, o := range c.HTTP.CORSOrigins {
			if o == "*" {
				wrong("http.cors_origins", "* stands alone: it is all origins")
			}
		}
	}
	if c.Tokens.Skew >= c.Tokens.AccessTTL {
		together([]string{"tokens.skew", "tokens.access_ttl"}, "tokens.skew, %s, is not shorter than tokens.access_ttl, %s: a token would be taken for more than twice its life", c.Tokens.Skew, c.Tokens.AccessTTL)
	}
	// These two hold by themselves where only the other was set: the smaller
	// one counts. Set by hand, it is not what was meant.
	if c.Pool.MaxIdle > c.Pool.MaxOpen && given("pool.max_idle") {
		together([]string{"pool.max_idle", "pool.max_open"}, "pool.max_idle, %d, is more than pool.max_open, %d", c.Pool.MaxIdle, c.Pool.MaxOpen)
	}
	if c.HTTP.ReadHeaderTimeout > c.HTTP.ReadTimeout && given("http.read_header_timeout") {
		together([]string{"http.read_header_timeout", "http.read_timeout"}, "http.read_header_timeout, %s, is longer than http.read_timeout, %s, which the header is part of", c.HTTP.ReadHeaderTimeout, c.HTTP.ReadTimeout)
	}
}
