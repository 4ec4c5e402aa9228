package permission

import (
	"slices"
	"testing"
)

func TestAPermissionIsReadAsItWasWritten(t *testing.T) {
	all := []Permission{{Scope: "openid"}, {Audience: "https://api.test", Scope: "read"}, {Audience: "x", Scope: "a:b"}}
	texts := Texts(all)
	if want := []string{"openid", "https://api.test read", "x a:b"}; !slices.Equal(texts, want) {
		t.Errorf("written as %q, want %q", texts, want)
	}
	if read := ParseAll(texts); !slices.Equal(read, all) {
		t.Errorf("read as %v, want %v", read, all)
	}
	if own := OwnScopes(all); !slices.Equal(own, []string{"openid"}) {
		t.Errorf("%q are said to be the server's own", own)
	}
}

// TestNoPermissionsAreNotThoseThatWereNeverRecorded: a grant of a version that recorded no
// permissions differs from a grant without permissions.
func TestNoPermissionsAreNotThoseThatWereNeverRecorded(t *testing.T) {
	if ParseAll(nil) != nil {
		t.Error("nil became a list")
	}
	if all := ParseAll([]string{}); all == nil {
		t.Error("an empty list became nil")
	}
}
