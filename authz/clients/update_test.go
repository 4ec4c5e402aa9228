package clients

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
	fixed := []string{"ID", "Disabled", "Epoch", "Secrets", "CreatedAt"}
	for i := range reflect.TypeFor[Client]().NumField() {
		name := reflect.TypeFor[Client]().Field(i).Name
		if slices.Contains(fixed, name) {
			continue
		}
		var c Client
		f := reflect.ValueOf(&c).Elem().Field(i)
		switch v := f.Addr().Interface().(type) {
		case *[]string:
			*v = []string{"a", "b"}
		case **time.Duration:
			*v = new(time.Duration)
		case *bool:
			*v = true
		case *apis.Signing:
			v.Alg = "ES256"
		default:
			if f.Kind() != reflect.String {
				t.Fatalf("%s is of the type %s, which this test does not know", name, f.Type())
			}
			f.SetString("a")
		}
		if maps.Equal(c.Details(), Client{}.Details()) {
			t.Errorf("%s is in no audit event", name)
		}
	}
}
