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
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// How often the keys are fetched, whatever Cache-Control says: no more
	// often than a server can bear, and often enough for a withdrawn key to go.
	minKeyRefresh, maxKeyRefresh = 5 * time.Second, 15 * time.Minute
	// defaultKeyRefresh is for servers that say nothing.
	defaultKeyRefresh = 5 * time.Minute
	// unknownKeyLimit is how often a kid that is not known can have the keys
	// fetched. A new key is published long before it signs, so that those are
	// made-up ones, and a flood of them costs the server next to nothing.
	unknownKeyLimit = 5 * time.Second
	// metadataRefresh is how often the metadata are fetched, with the keys.
	metadataRefresh = time.Hour
)

// metadata is what the issuer says of itself (RFC 8414 section 2).
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
	// Whoever can have somebody else's metadata served here could have that
	// server's keys trusted (RFC 8414 section 3.3).
	if m.Issuer != v.cfg.Issuer {
		return errors.New("it is of another issuer")
	}
	if err := v.source.within(m.JWKS); err != nil {
		return err
	}
	for _, address := range []string{m.Aggregation, m.Events, m.Ack} {
		// The client's secret is sent to one of them.
		if address != "" && v.source.within(address) != nil {
			return v.source.within(address)
		}
	}
	v.meta.Store(&m)
	return nil
}

// keySet is the keys that may sign, by kid.
type keySet struct {
	keys map[string]any
	etag string
	// begun is when the request for it was begun; asOf is that, less the time
	// that it lay in a cache.
	begun, asOf time.Time
}

// fetchKeys fetches the key set, and the metadata if they are old or may be
// why it failed the last time.
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

// parseKeys reads a key set (RFC 7517 section 5): its keys for that algorithm.
// A key that cannot be read is not there: it may be of a kind that will come.
func parseKeys(body []byte, algorithm string) (map[string]any, error) {
	var set struct {
		Keys *[]json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(body, &set) != nil || set.Keys == nil {
		return nil, errors.New("it cannot be read")
	}
	keys := map[string]any{}
	for _, raw := range *set.Keys {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(raw) != nil || k.KeyID == "" || k.Use != "" && k.Use != "sig" ||
			k.Algorithm != "" && k.Algorithm != algorithm || !fits(k.Key, algorithm) {
			continue
		}
		if _, twice := keys[k.KeyID]; twice {
			return nil, errors.New("two keys have one kid")
		}
		keys[k.KeyID] = k.Key
	}
	return keys, nil
}

// fits reports whether a key is one of that algorithm, and of a size that is
// neither weak (RFC 7518 section 3.3) nor there to cost time.
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

// key returns the key with that kid. One that is not known may be so new that
// only the server knows it; so it is asked, but not by every token that
// somebody makes up.
func (v *Verifier) key(ctx context.Context, kid string) (any, error) {
	key, err := v.heldKey(kid)
	if errors.Is(err, ErrUnavailable) {
		v.wait(ctx, v.keyKeeper.ask())
		return v.heldKey(kid)
	}
	return key, err
}

func (v *Verifier) heldKey(kid string) (any, error) {
	set, now := v.keys.Load(), v.cfg.Now()
	if err := v.usable(set, now); err != nil {
		return nil, err
	}
	if key, ok := set.keys[kid]; ok {
		return key, nil
	}
	if age(now, set.begun) > unknownKeyLimit {
		return nil, v.blameKeys("its key is not known, and the issuer could not be asked")
	}
	return nil, invalid(byKey, "no key of the issuer has its kid")
}

// usable returns why no token can be checked with these keys.
func (v *Verifier) usable(set *keySet, now time.Time) error {
	switch {
	case set == nil:
		return v.blameKeys("the issuer's keys could not be fetched yet")
	case age(now, set.asOf) > v.cfg.MaxKeyAge:
		return v.blameKeys("the issuer's keys could not be refreshed for too long")
	case len(set.keys) == 0:
		return unavailable("the issuer has published no key for " + v.cfg.Algorithm)
	}
	return nil
}

func (v *Verifier) blameKeys(why string) error {
	if err := v.keyKeeper.failure(); err != nil {
		return unavailableFor(why, err)
	}
	return unavailable(why)
}
