package apis

import (
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"
)

// An update is told from none by what the audit records: a field that it left out
// could not be changed alone.
func TestTheAuditRecordsAllThatAnUpdateCanChange(t *testing.T) {
	t.Parallel()
	fixed := []string{"ID", "Audience", "CreatedAt"}
	for i := range reflect.TypeFor[API]().NumField() {
		name := reflect.TypeFor[API]().Field(i).Name
		if slices.Contains(fixed, name) {
			continue
		}
		var a API
		f := reflect.ValueOf(&a).Elem().Field(i)
		switch v := f.Addr().Interface().(type) {
		case *[]string:
			*v = []string{"a", "b"}
		case *time.Duration:
			*v = time.Hour
		case *bool:
			*v = true
		case *ScopeTexts:
			*v = ScopeTexts{"a": {"en": "b"}}
		default:
			if f.Kind() != reflect.String {
				t.Fatalf("%s is of the type %s, which this test does not know", name, f.Type())
			}
			f.SetString("a")
		}
		if maps.Equal(a.details(), API{}.details()) {
			t.Errorf("%s is in no audit event", name)
		}
	}
}
