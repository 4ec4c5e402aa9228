package verify

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Status is how a Verifier learns that a token was revoked before it expired.
type Status int

const (
	// StatusNone: it does not. A revoked token is good until it expires.
	StatusNone Status = iota
	// StatusPoll: it fetches the status lists again and again.
	StatusPoll
	// StatusStream: the issuer tells it at once, over a connection that stays
	// open, and waits for it to say that it knows. While that connection
	// cannot be had, it polls.
	StatusStream
)

// Config is what a Verifier is made of. The zero value of a field is its
// default.
type Config struct {
	// Issuer is the authorization server's identifier, exactly as its tokens
	// have it in `iss`. Required. Everything that is fetched is fetched from
	// its origin.
	Issuer string
	// AllowInsecureIssuer accepts an http issuer that is not on a loopback
	// address: whoever is on that network can then make keys up.
	AllowInsecureIssuer bool
	// Audience is this API, as tokens have it in `aud`. Required: a token for
	// another API must not work here (RFC 8725 section 3.9).
	Audience string
	// AcceptJWT accepts tokens whose `typ` is JWT beside at+jwt: for an API that was
	// registered so because other verifiers of it take nothing else. ID tokens have
	// that `typ`, too. They are refused all the same: they are for a client, which
	// Audience never is, and lack `client_id` and `jti`.
	AcceptJWT bool
	// Algorithm is the one signature algorithm that is accepted: RS256
	// (default), RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or
	// EdDSA. Never what a token asks for (RFC 8725 section 3.1).
	Algorithm string
	// Skew is by how much the clocks may differ. 30 s; negative: not at all.
	Skew time.Duration

	// Status is how revocations are learnt of. StatusNone.
	Status Status
	// ClientID and ClientSecret are this API's at the issuer. Required for
	// StatusStream, unused otherwise.
	ClientID, ClientSecret string
	// Name is what people call this process where the issuer says who has applied
	// a revocation. Replicas may share it. The host's name and something random.
	Name string
	// MaxStaleness is how old what is known of a token's status may be: 10 s,
	// from 1 s to 24 h. The issuer's clock is among what measures it, so that
	// the two must not be that far apart.
	MaxStaleness time.Duration
	// FailOpen is what happens past MaxStaleness. False: ErrUnavailable. True:
	// tokens are accepted that are not known to be revoked, so that whoever
	// can keep this process from the issuer can use a revoked token until it
	// expires.
	FailOpen bool
	// MaxKeyAge is for how long keys are used that could not be refreshed: 1 h,
	// from 1 min to 24 h. For so long a withdrawn key can live on here for
	// whoever can keep this process from the issuer.
	MaxKeyAge time.Duration
	// MaxListBytes bounds a status list, unpacked: 16 MiB.
	MaxListBytes int64

	// Resource describes this API to clients (RFC 9728).
	Resource Resource

	// HTTPClient makes the requests; its Transport matters, redirects are
	// never followed. http.DefaultTransport.
	HTTPClient *http.Client
	// Logger gets a record when something begins to fail and when it works
	// again. slog.Default().
	Logger *slog.Logger
	// Now is the clock, for tests. time.Now.
	Now func() time.Time
}

// algorithms are what Config.Algorithm may be: all asymmetric. With HMAC,
// everyone who can check a token could make one; `none` is none.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// withDefaults returns the configuration in effect, or everything that is
// wrong with it.
func (c Config) withDefaults() (Config, error) {
	var f faults
	f.issuer(c.Issuer, c.AllowInsecureIssuer)
	if c.Audience == "" {
		f.add("Audience is not set")
	}
	c.Algorithm = cmp.Or(c.Algorithm, string(jose.RS256))
	if !slices.Contains(algorithms, jose.SignatureAlgorithm(c.Algorithm)) {
		f.add("Algorithm %q is none of %v", c.Algorithm, algorithms)
	}
	switch {
	case c.Skew == 0:
		c.Skew = 30 * time.Second
	case c.Skew < 0:
		c.Skew = 0
	case c.Skew > 5*time.Minute:
		f.add("Skew is %s, more than 5m0s: set the clocks instead", c.Skew)
	}
	switch c.Status {
	case StatusNone, StatusPoll:
	case StatusStream:
		if c.ClientID == "" || c.ClientSecret == "" {
			f.add("StatusStream needs ClientID and ClientSecret")
		}
	default:
		f.add("Status is none of StatusNone, StatusPoll, StatusStream")
	}
	c.MaxStaleness = f.between("MaxStaleness", cmp.Or(c.MaxStaleness, 10*time.Second), time.Second, longestHeld)
	c.MaxKeyAge = f.between("MaxKeyAge", cmp.Or(c.MaxKeyAge, time.Hour), time.Minute, longestHeld)
	c.MaxListBytes = cmp.Or(c.MaxListBytes, 16<<20)
	if c.MaxListBytes < 0 || c.MaxListBytes > 1<<30 {
		f.add("MaxListBytes is not from 1 to 1 GiB")
	}
	if err := c.Resource.complete(c.Audience); err != nil {
		f.add("%w", err)
	}
	if c.Name == "" {
		c.Name = processName()
	}
	if c.HTTPClient == nil {
		c.HTTPClient = &http.Client{}
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, errors.Join(f...)
}

// longestHeld is for how long anything is used at most that could not be fetched anew.
const longestHeld = 24 * time.Hour

// faults are what is wrong with a Config.
type faults []error

func (f *faults) add(format string, a ...any) { *f = append(*f, fmt.Errorf("verify: "+format, a...)) }

func (f *faults) between(name string, value, low, high time.Duration) time.Duration {
	if value < low || value > high {
		f.add("%s is %s, not from %s to %s", name, value, low, high)
	}
	return value
}

func (f *faults) issuer(text string, insecure bool) {
	switch issuer, err := url.Parse(text); {
	case text == "":
		f.add("Issuer is not set")
	case err != nil || issuer.Scheme != "https" && issuer.Scheme != "http" || issuer.Host == "" ||
		issuer.User != nil || issuer.RawQuery != "" || issuer.Fragment != "":
		f.add("Issuer is not an http or https URL of scheme, host and path alone")
	case issuer.Scheme == "http" && !loopback(issuer.Hostname()) && !insecure:
		f.add("Issuer is http: keys would cross the network in the clear; use https or AllowInsecureIssuer")
	}
}

// processName is a name for this process that no other has.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()[:8]
}

// accessTypes are what the `typ` of a token may be; the latter must be asked for.
var accessTypes = []string{"at+jwt", "JWT"}

func (c *Config) types() []string {
	if c.AcceptJWT {
		return accessTypes
	}
	return accessTypes[:1]
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
