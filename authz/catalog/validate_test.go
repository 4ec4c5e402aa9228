package catalog

import (
	"errors"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/config/limits"
)

func TestTheServersKeysOutliveTheTokensOfAnAPI(t *testing.T) {
	t.Parallel()
	for life, ok := range map[time.Duration]bool{
		0: true, limits.MinAccessTTL: true, limits.MaxAccessTTL: true, 90 * time.Second: true,
		-time.Minute: false, limits.MinAccessTTL - time.Second: false, limits.MaxAccessTTL + time.Second: false, 90*time.Second + time.Millisecond: false,
	} {
		err := validate(apis.API{Audience: "https://api.example", Name: "n", Scopes: []string{"s"}, AccessTTL: life})
		if ok != (err == nil) || err != nil && !errors.Is(err, apis.ErrInvalid) {
			t.Errorf("%s: %v", life, err)
		}
	}
	if err := validate(apis.API{Name: "n", Scopes: []string{"s"}}); !errors.Is(err, apis.ErrInvalid) {
		t.Errorf("without an audience: %v", err)
	}
}

// TestAnEncryptionKeyCanGetAnotherKid: an API that knows its key by another kid refuses the
// tokens that have the former one.
func TestAnEncryptionKeyCanGetAnotherKid(t *testing.T) {
	t.Parallel()
	of := func(kid string) apis.API {
		return apis.API{EncryptionJWK: `{"kty":"EC","crv":"P-256","kid":"` + kid + `","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"}`}
	}
	if d := changed(of("a"), of("b")); d["encryption_kid"] != "b" || d["former_encryption_kid"] != "a" {
		t.Errorf("the update counts as no change: %v", d)
	}
	if d := changed(of("a"), of("a")); d != nil {
		t.Errorf("no change: %v", d)
	}
}

func TestTokensAreEncryptedToAPublicKeyAlone(t *testing.T) {
	t.Parallel()
	const public = `"kty":"EC","crv":"P-256","x":"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ","y":"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck"`
	for jwk, ok := range map[string]bool{
		"": true, "{" + public + "}": true, "{}": false, "none": false,
		"{" + public + `,"d":"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw"}`: false,
	} {
		err := validate(apis.API{Audience: "https://api.example", Name: "n", Scopes: []string{"s"}, EncryptionJWK: jwk})
		if ok != (err == nil) || err != nil && !errors.Is(err, apis.ErrInvalid) {
			t.Errorf("%s: %v", jwk, err)
		}
	}
}
