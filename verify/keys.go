package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// minKeyRefresh and maxKeyRefresh bound the time between two fetches of the keys,
	// whatever Cache-Control says: not so often that it burdens the server, and often
	// enough that a withdrawn key disappears.
	minKeyRefresh, maxKeyRefresh = 5 * time.Second, 15 * time.Minute
	// defaultKeyRefresh is that time where the server names no max-age.
	defaultKeyRefresh = 5 * time.Minute
	// unknownKeyLimit is the shortest time between two fetches that tokens with an
	// unknown kid cause. A new key is published long before it signs, so an unknown
	// kid is most likely an invented one; with this limit a flood of them costs the
	// server next to nothing.
	unknownKeyLimit = 5 * time.Second
	// metadataRefresh is the time between two fetches of the metadata, which are
	// fetched just before the keys.
	metadataRefresh = time.Hour
)

// metadata are the addresses that the issuer publishes (RFC 8414 section 2).
type metadata struct {
	Issuer      string `json:"issuer"`
	JWKS        string `json:"jwks_uri"`
	Aggregation string `json:"status_list_aggregation_endpoint"`
	Events      string `json:"status_events_endpoint"`
	Ack         string `json:"status_ack_endpoint"`

	begun time.Time
}

// metadataURL inserts the well-known path before the issuer's own (RFC 8414
// section 3.1).
func metadataURL(issuer string) string {
	u, _ := url.Parse(issuer)
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	return u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + path
}

func (v *Verifier) fetchMetadata(ctx context.Context) error {
	begun := v.cfg.Now()
	doc, err := v.source.get(ctx, request{url: metadataURL(v.cfg.Issuer), accept: "application/json", limit: maxDocument})
	if err != nil {
		return err
	}
	m := metadata{begun: begun}
	if json.Unmarshal(doc.body, &m) != nil {
		return errors.New("it cannot be read")
	}
	// Otherwise an attacker who can have another server's metadata answered here
	// could make this process trust that server's keys (RFC 8414 section 3.3).
	if m.Issuer != v.cfg.Issuer {
		return errors.New("it is of another issuer")
	}
	if err := v.source.within(m.JWKS); err != nil {
		return err
	}
	for _, address := range []string{m.Aggregation, m.Events, m.Ack} {
		// The client's secret is sent to the last two of them.
		if address != "" && v.source.within(address) != nil {
			return v.source.within(address)
		}
	}
	v.meta.Store(&m)
	return nil
}

// keySet holds the issuer's public keys, by kid.
type keySet struct {
	keys map[string]publicKey
	etag string
	// begun is when the request for it began. asOf is the moment for which the issuer
	// vouched for it: begun less the time that the answer lay in a cache.
	begun, asOf time.Time
}

// publicKey is a key of the issuer, and the only algorithm by which it checks signatures.
type publicKey struct {
	key       any
	algorithm string
}

// fetchKeys fetches the key set, and before it the metadata if they are old, or if the
// last attempt failed: a changed address may be why.
func (v *Verifier) fetchKeys(ctx context.Context, asked bool) (time.Duration, error) {
	v.counts.keyFetches.Add(1)
	next, err := v.refreshKeys(ctx, asked)
	if err != nil {
		v.counts.keyFailures.Add(1)
	}
	v.stream.fetched()
	return next, err
}

func (v *Verifier) refreshKeys(ctx context.Context, asked bool) (time.Duration, error) {
	m := v.meta.Load()
	if m == nil || age(v.cfg.Now(), m.begun) > metadataRefresh || v.keyKeeper.failure() != nil {
		err := v.fetchMetadata(ctx)
		if m = v.meta.Load(); m == nil {
			return 0, fmt.Errorf("the issuer's metadata: %w", err)
		}
		if err != nil && v.keyKeeper.failure() == nil {
			v.cfg.Logger.Warn("the issuer's metadata could not be refreshed", "error", err)
		}
	}
	begun := v.cfg.Now()
	r := request{url: m.JWKS, accept: "application/jwk-set+json, application/json", fresh: asked, limit: maxDocument}
	held := v.keys.Load()
	if held != nil {
		r.etag = held.etag
	}
	doc, err := v.source.get(ctx, r)
	var set keySet
	switch {
	case errors.Is(err, errNotModified):
		set = *held
	case err != nil:
		return 0, fmt.Errorf("the key set: %w", err)
	default:
		if set.keys, err = parseKeys(doc.body, v.cfg.Algorithm); err != nil {
			return 0, fmt.Errorf("the key set: %w", err)
		}
		set.etag = doc.etag
	}
	set.begun, set.asOf = begun, begun.Add(-doc.age)
	v.keys.Store(&set)
	next := defaultKeyRefresh
	if doc.maxAge >= 0 {
		next = doc.maxAge
	}
	return min(max(next, minKeyRefresh), maxKeyRefresh), nil
}

// parseKeys reads the keys for signatures from a key set (RFC 7517 section 5). A key for
// which the set names no algorithm is for the given one, if it can be. It skips keys that
// it cannot read: they may be of a type that does not exist yet.
func parseKeys(body []byte, algorithm string) (map[string]publicKey, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || set.Keys == nil {
		return nil, errors.New("it cannot be read")
	}
	keys := map[string]publicKey{}
	for _, raw := range *set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || k.KeyID == "" || k.Use != "" && k.Use != "sig" {
			continue
		}
		of := k.Algorithm
		if of == "" {
			if of = algorithm; of == "" || !fits(k.Key, of) {
				of = usual(k.Key)
			}
		}
		if !slices.Contains(algorithms, jose.SignatureAlgorithm(of)) || !fits(k.Key, of) {
			continue
		}
		if _, twice := keys[k.KeyID]; twice {
			return nil, errors.New("two keys have one kid")
		}
		keys[k.KeyID] = publicKey{k.Key, of}
	}
	return keys, nil
}

// usual returns the algorithm that a key is for if nothing says which; empty if that is not
// clear.
func usual(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return string(jose.RS256)
	case *ecdsa.PublicKey:
		return map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[k.Curve.Params().BitSize]
	case ed25519.PublicKey:
		return string(jose.EdDSA)
	}
	return ""
}

// fits reports whether a key belongs to that algorithm, and is neither too small to be
// safe (RFC 7518 section 3.3) nor so large that each check takes long.
func fits(key any, algorithm string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		bits := k.N.BitLen()
		return (algorithm[0] == 'R' || algorithm[0] == 'P') && 2048 <= bits && bits <= 8192
	case *ecdsa.PublicKey:
		return map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[algorithm] == k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false
}

// key returns the key with that kid. If the copy of the key set lacks it, the key may
// be new, so the set is fetched again; but at most once in unknownKeyLimit, since
// anyone can invent a kid.
func (v *Verifier) key(ctx context.Context, kid string) (publicKey, error) {
	key, err := v.heldKey(kid)
	if errors.Is(err, ErrUnavailable) {
		v.wait(ctx, v.keyKeeper.ask())
		return v.heldKey(kid)
	}
	return key, err
}

func (v *Verifier) heldKey(kid string) (publicKey, error) {
	set, now := v.keys.Load(), v.cfg.Now()
	if err := v.usable(set, now); err != nil {
		return publicKey{}, err
	}
	if key, ok := set.keys[kid]; ok {
		return key, nil
	}
	if age(now, set.begun) > unknownKeyLimit {
		return publicKey{}, v.blameKeys("its key is not known, and the issuer could not be asked")
	}
	return publicKey{}, invalid(byKey, "no key of the issuer has its kid")
}

// usable returns why no token can be checked with these keys; nil if tokens can be.
func (v *Verifier) usable(set *keySet, now time.Time) error {
	switch {
	case set == nil:
		return v.blameKeys("the issuer's keys could not be fetched yet")
	case age(now, set.asOf) > v.cfg.MaxKeyAge:
		return v.blameKeys("the issuer's keys could not be refreshed for too long")
	case len(set.keys) == 0:
		return unavailable("the issuer has published no key that could check a signature")
	}
	return nil
}

func (v *Verifier) blameKeys(why string) error {
	if err := v.keyKeeper.failure(); err != nil {
		return unavailableFor(why, err)
	}
	return unavailable(why)
}
