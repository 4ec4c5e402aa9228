package apis_test

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
)

func TestAChangeOfAlgorithmWaitsForItsKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	known := now.Add(15 * time.Minute)
	var usual apis.Signing
	pending := usual.To("ES256", known, now)
	for what, c := range map[string]struct {
		s     apis.Signing
		at    time.Time
		signs string
	}{
		"nothing was asked for":            {usual, now, "RS256"},
		"before the key is known":          {pending, known.Add(-time.Second), "RS256"},
		"from when it is known":            {pending, known, "ES256"},
		"a key that is known already":      {usual.To("ES256", now, now), now, "ES256"},
		"changed again, before":            {pending.To("EdDSA", known.Add(time.Minute), now), known, "RS256"},
		"changed again, afterwards":        {pending.To("EdDSA", known.Add(time.Hour), known), known.Add(time.Minute), "ES256"},
		"taken back before":                {pending.To("RS256", known, now), now, "RS256"},
		"back to the default":              {usual.To("ES256", now, now).To("RS256", known, now), now, "ES256"},
		"back to the default, once known":  {usual.To("ES256", now, now).To("RS256", known, now), known, "RS256"},
		"asked for what it is, key or not": {usual.To("RS256", known, now), now, "RS256"},
	} {
		if got := c.s.At(c.at); got != c.signs {
			t.Errorf("%s: %s signs, not %s (%+v)", what, got, c.signs, c.s)
		}
	}
	if pending.Wants() != "ES256" || usual.Wants() != "RS256" {
		t.Errorf("%s %s", pending.Wants(), usual.Wants())
	}
	if usual.To("ES256", now, now).To("RS256", now, now) != usual {
		t.Error("the default is written in two ways")
	}
	for _, alg := range []string{"none", "HS384", "rs256", "ES384", "RS256 "} {
		if err := (apis.Signing{Alg: alg}).Validate(); err == nil {
			t.Errorf("%q is taken", alg)
		}
	}
}
