package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestTheDocumentationHasEverySettingAsItIs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings(&Config{}) {
		byDefault := "`" + s.byDefault + "`"
		if s.byDefault == "" {
			byDefault = " "
		}
		row := "| `" + s.key + "` | `" + s.env() + "` | " + byDefault + " | " + s.doc + " |\n"
		if !strings.Contains(string(b), row) {
			t.Errorf("docs/configuration.md lacks the row\n%s", row)
		}
	}
}

// TestTheDocumentationHasTheBoundsThatAreInEffect: the limits in the description of a
// setting are those that are enforced.
func TestTheDocumentationHasTheBoundsThatAreInEffect(t *testing.T) {
	t.Parallel()
	told := regexp.MustCompile(`(?:; (\d\S*) to|up to) (\S+)$`)
	c, found := &Config{}, 0
	for _, s := range settings(c) {
		m := told.FindStringSubmatch(s.doc)
		i := slices.IndexFunc(bounds, func(b bound) bool { return b.key == s.key })
		if m == nil || i < 0 {
			continue
		}
		found++
		reads := func(text string) int64 {
			t.Helper()
			if err := s.set(text); err != nil {
				t.Errorf("%s: %v", s.key, err)
			}
			return s.field.Int()
		}
		if high := reads(m[2]); high != bounds[i].high {
			t.Errorf("%s is told to go up to %s, and goes up to %d", s.key, m[2], bounds[i].high)
		}
		if m[1] != "" && reads(m[1]) != bounds[i].low {
			t.Errorf("%s is told to go from %s, and goes from %d", s.key, m[1], bounds[i].low)
		}
	}
	if found < 8 {
		t.Errorf("found only %d bounds", found)
	}
}

// TestEverySettingThatIsANumberHasBounds: without limits, a setting could have a value that
// nobody has thought of.
func TestEverySettingThatIsANumberHasBounds(t *testing.T) {
	t.Parallel()
	for _, s := range settings(&Config{}) {
		bounded := slices.ContainsFunc(bounds, func(b bound) bool { return b.key == s.key })
		switch s.field.Kind() {
		case reflect.Int, reflect.Int64:
			if !bounded && s.key != "log.level" && s.key != "keys.bits" {
				t.Errorf("%s has no bounds", s.key)
			}
		default:
			if bounded {
				t.Errorf("%s is no number", s.key)
			}
		}
	}
}
