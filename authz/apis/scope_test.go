package apis

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseScope(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"":                  nil,
		"read":              {"read"},
		"read write":        {"read", "write"},
		"  read   write  ":  {"read", "write"},
		"read write read":   {"read", "write"},
		"Read read":         {"Read", "read"},
		"urn:a:b https://x": {"urn:a:b", "https://x"},
	} {
		got, err := ParseScope(in)
		if err != nil {
			t.Errorf("%q: %v", in, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q: %s", in, d)
		}
	}
	for _, in := range []string{`re"ad`, `re\ad`, "re\tad", "réad", "a\x00b", "a\nb"} {
		if got, err := ParseScope(in); err == nil {
			t.Errorf("%q was taken as %q", in, got)
		}
	}
}
