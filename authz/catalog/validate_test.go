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
