package keys

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// jwksDocument is the published key set as served.
type jwksDocument struct {
	body []byte
	etag string
	// until is when a key in it is gone; zero if none will be.
	until time.Time
}

// JWKS returns the published key set (RFC 7517 section 5) and its entity tag.
// The bytes are the same until the set changes. The set has the public keys of Tokens and
// of the rings for other algorithms: those that sign, will sign, or have signed what may
// still be alive.
func (k *Keyring) JWKS() (body []byte, etag string) {
	held, now := k.held.Load(), k.now()
	doc := held.jwks.Load()
	if doc == nil || !doc.until.IsZero() && !now.Before(doc.until) {
		// Two requests may both build it; they build the same.
		doc = k.buildJWKS(held, now)
		held.jwks.Store(doc)
	}
	return doc.body, doc.etag
}

func (k *Keyring) buildJWKS(held *snapshot, now time.Time) *jwksDocument {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	doc := &jwksDocument{}
	for _, s := range listed(held, k.policy, now) {
		if !s.Ring.published() || s.State == Gone || s.State == Withdrawn {
			continue
		}
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: held.verifying[Tokens].keys[s.KID].public, KeyID: s.KID, Algorithm: string(s.Ring.Algorithm()), Use: "sig",
		})
		if !s.GoneAt.IsZero() && (doc.until.IsZero() || s.GoneAt.Before(doc.until)) {
			doc.until = s.GoneAt
		}
	}
	var err error
	if doc.body, err = json.Marshal(set); err != nil {
		panic(err) // public keys can be written
	}
	sum := sha256.Sum256(doc.body)
	doc.etag = `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return doc
}
