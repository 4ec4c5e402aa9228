package status_test

import (
	"testing"

	"github.com/ingam/ingam/authz/status"
)

func TestAListHasOneAddress(t *testing.T) {
	t.Parallel()
	base := status.Base("https://id.example.com/lists/")
	if uri := base.URI(12); uri != "https://id.example.com/lists/12" || base.ListOf(uri) != 12 {
		t.Errorf("%s is list %d", uri, base.ListOf(uri))
	}
	for _, uri := range []string{
		"", "12", "https://id.example.com/lists/", "https://id.example.com/lists/0", "https://id.example.com/lists/-1", "https://id.example.com/lists/+1",
		"https://id.example.com/lists/012", "https://id.example.com/lists/12/", "https://id.example.com/lists/12?", "https://id.example.com/lists/0x1",
		"https://id.example.com/lists/9223372036854775808", "http://id.example.com/lists/12", "https://id.example.com/Lists/12", "https://id.example.org/lists/12",
	} {
		if n := base.ListOf(uri); n != 0 {
			t.Errorf("%s is list %d", uri, n)
		}
	}
}
