package catalog

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
)

// TestTheAuditRecordsAllThatAnUpdateCanChange: an update that gives the audit nothing to
// record counts as no change. So a field that the audit leaves out could not be changed
// alone.
func TestTheAuditRecordsAllThatAnUpdateCanChange(t *testing.T) {
	t.Parallel()
	fixed := []string{"ID", "Audience", "CreatedAt"}
	for i := range reflect.TypeFor[apis.API]().NumField() {
		name := reflect.TypeFor[apis.API]().Field(i).Name
		if slices.Contains(fixed, name) {
			continue
		}
		var a apis.API
		f := reflect.ValueOf(&a).Elem().Field(i)
		switch v := f.Addr().Interface().(type) {
		case *[]string:
			*v = []string{"a", "b"}
		case *time.Duration:
			*v = time.Hour
		case *bool:
			*v = true
		case *apis.Signing:
			v.Alg = "ES256"
		case *[]apis.Secret:
			*v = []apis.Secret{{ID: "a"}}
		case *apis.ScopeTexts:
			*v = apis.ScopeTexts{"a": {"en": "b"}}
		default:
			if f.Kind() != reflect.String {
				t.Fatalf("%s is of the type %s, which this test does not know", name, f.Type())
			}
			f.SetString("a")
		}
		if maps.Equal(Details(a), Details(apis.API{})) {
			t.Errorf("%s is in no audit event", name)
		}
	}
}
