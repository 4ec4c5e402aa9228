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
	// StatusNone: it does not learn it. A revoked token is good until it expires.
	StatusNone Status = iota
	// StatusPoll: it fetches the status lists every few seconds.
	StatusPoll
	// StatusStream: the issuer sends revocations at once, over a connection that
	// stays open (the stream), and is told when they were applied. While there is
	// no connection, the verifier polls.
	StatusStream
)

// Config holds the settings of a Verifier. A field that is left at its zero value
// has the default that its comment names.
type Config struct {
	// Issuer is the authorization server's identifier, exactly as its tokens
	// have it in `iss`. Required. Keys and lists are fetched from its origin and
	// from nowhere else.
	Issuer string
	// AllowInsecureIssuer accepts an http issuer that is not on a loopback
	// address. Anyone on the network between can then put keys of their own in
	// place of the issuer's, and sign tokens with them.
	AllowInsecureIssuer bool
	// Audience is the name of this API, as tokens have it in `aud`. Required: a token for
	// another API must not work here (RFC 8725 section 3.9).
	Audience string
	// AcceptJWT accepts tokens whose `typ` is JWT, beside those whose `typ` is at+jwt.
	// It is for an API whose tokens have that type because its other verifiers accept
	// nothing else. ID tokens have the type JWT, too, but are refused all the same:
	// their `aud` is a client, never this API, and they have no `client_id` and no `jti`.
	AcceptJWT bool
	// Algorithm, if set, is the one signature algorithm that access tokens may have:
	// RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512 or EdDSA. Otherwise
	// a token must have the algorithm that the issuer's key set names for its key. The
	// `alg` of a token never chooses it (RFC 8725 section 3.1). With SharedSecrets it can
	// also be HS256, and then nothing else is accepted.
	Algorithm string
	// SharedSecrets are the secrets that the issuer shares with this API alone, for
	// tokens that are signed with HS256: two at most, so that one can follow the other. A
	// secret has 32 bytes, which the issuer shows in base64url. Without any, no such
	// token is accepted. Whoever has one can make tokens for this API.
	SharedSecrets [][]byte
	// DecryptionKeys are the private keys of an API whose tokens are encrypted, each as a
	// JWK (RFC 7517): RSA of 2048 to 8192 bits, for RSA-OAEP-256, or P-256, for ECDH-ES.
	// There can be several, so that keys can be replaced: first the new one is added here,
	// then the issuer is told to encrypt to it. A token whose header has a `kid` is tried
	// with the keys of that kid and with those that have none; any other, with all.
	DecryptionKeys [][]byte
	// AcceptUnencrypted accepts tokens that are only signed, beside encrypted ones, where
	// DecryptionKeys are set. It is for the time during which an API goes over to
	// encryption: the tokens of before are good until they expire.
	AcceptUnencrypted bool
	// Skew is by how much this process's clock and the issuer's may differ.
	// Default 30 s; a negative value allows no difference.
	Skew time.Duration

	// Status is how this API learns of revocations. Default StatusNone.
	Status Status
	// ClientID and ClientSecret are the credentials of this API: a client that is
	// registered as the API (`ingam client create --introspects`).
	// Required for StatusStream, unused otherwise.
	ClientID, ClientSecret string
	// Name is a name for this process, for people who ask the issuer which
	// verifiers have applied a revocation. Replicas may share it. Default: the
	// host's name and something random.
	Name string
	// MaxStaleness is how old the newest information about a token's status may
	// be: default 10 s, from 1 s to 24 h. Its age is measured with the issuer's
	// clock, too, so the two clocks must differ by less than this.
	MaxStaleness time.Duration
	// FailOpen decides about tokens whose status information is older than
	// MaxStaleness. False: Verify returns ErrUnavailable. True: Verify accepts
	// those that are not known to be revoked. Then somebody who can cut this
	// process off from the issuer can use a revoked token until it expires.
	FailOpen bool
	// MaxKeyAge is for how long the keys are used when they cannot be fetched
	// again: default 1 h, from 1 min to 24 h. Somebody who can cut this process
	// off from the issuer can use a withdrawn key for so long.
	MaxKeyAge time.Duration
	// MaxListBytes bounds the size of a status list, unpacked. Default 16 MiB.
	MaxListBytes int64

	// Resource describes this API to clients (RFC 9728).
	Resource Resource

	// HTTPClient makes the requests, by its Transport. Redirects are never
	// followed, and Timeout is ignored. Default: http.DefaultTransport.
	HTTPClient *http.Client
	// Logger gets a record when something begins to fail and when it works
	// again. Default slog.Default().
	Logger *slog.Logger
	// Now is the clock, for tests. Default time.Now.
	Now func() time.Time

	// decryption is DecryptionKeys, read.
	decryption []decryptionKey
}

// algorithms are the values that Config.Algorithm may have. All are asymmetric:
// with HMAC, everyone who can check a token could make one. `none` is no signature.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// withDefaults returns the configuration with every default filled in, or one
// error that names everything wrong with it.
func (c Config) withDefaults() (Config, error) {
	var f faults
	f.issuer(c.Issuer, c.AllowInsecureIssuer)
	if c.Audience == "" {
		f.add("Audience is not set")
	}
	c.SharedSecrets = f.sharedSecrets(c.SharedSecrets)
	byShared := c.Algorithm == string(jose.HS256) && len(c.SharedSecrets) > 0
	if c.Algorithm != "" && !byShared && !slices.Contains(algorithms, jose.SignatureAlgorithm(c.Algorithm)) {
		f.add("Algorithm %q is none of %v", c.Algorithm, algorithms)
	}
	c.decryption = f.decryptionKeys(c.DecryptionKeys)
	if c.AcceptUnencrypted && len(c.DecryptionKeys) == 0 {
		f.add("AcceptUnencrypted is set without DecryptionKeys")
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

// longestHeld is the longest time for which a key or a status list can be used
// without being fetched again.
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

// processName makes a name for this process that no other process has.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + "-" + rand.Text()[:8]
}

// accessTypes are the values that the `typ` of an access token may have. The second
// is accepted only with Config.AcceptJWT.
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
