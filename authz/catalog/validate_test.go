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
