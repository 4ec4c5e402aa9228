package apis

import (
	"slices"
	"testing"
)

func TestAnEmptyPathIsWrittenInTwoWays(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"https://api.example", "https://api.example/"},
		{"http://api.example:8080", "http://api.example:8080/"},
		{"https://[2001:db8::1]", "https://[2001:db8::1]/"},
		{"https://api.example?x=1", "https://api.example/?x=1"},
		{"https://api.example?", "https://api.example/?"},
		{"HTTPS://api.example", "HTTPS://api.example/"},
	} {
		for i := range c {
			if got := Spellings(c[i]); !slices.Equal(got, []string{c[i], c[1-i]}) {
				t.Errorf("%s: %q", c[i], got)
			}
		}
	}
	for _, only := range []string{
		"https://api.example/v1", "https://api.example/v1/", "https://api.example//", "https://api.example/./", "https://", "https:///", "https:api.example",
		"urn:api", "urn:api/", "api", "api/", "com.example.app:", "com.example.app://host", "ftp://api.example", "", "/", "://", "x://y",
	} {
		if got := Spellings(only); !slices.Equal(got, []string{only}) {
			t.Errorf("%q: %q", only, got)
		}
	}
	list := []string{"https://a.example", "https://b.example/", "https://c.example/?x=1", "https://d.example", "https://d.example/"}
	for asked, want := range map[string]string{
		"https://a.example/": "https://a.example", "https://a.example": "https://a.example", "https://b.example": "https://b.example/",
		"https://c.example?x=1": "https://c.example/?x=1", "https://c.example": "", "https://a.example//": "", "https://A.example": "", "http://a.example": "",
		// Both were registered before the server refused that. Each means itself.
		"https://d.example": "https://d.example", "https://d.example/": "https://d.example/",
	} {
		if got, ok := Registered(list, asked); got != want || ok != (want != "") {
			t.Errorf("%s: %q", asked, got)
		}
	}
}
