package accounts_test

import (
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/accounts"
)

func TestAnAddressHasOneForm(t *testing.T) {
	t.Parallel()
	var ascii strings.Builder
	for c := rune('!'); c <= '~'; c++ {
		ascii.WriteRune(c)
	}
	long := strings.Repeat("l", 200-len("@example.com")) + "@example.com"
	for address, want := range map[string]string{
		"minji@example.com": "minji@example.com", "Minji.KIM+x@Example.COM": "minji.kim+x@example.com", " minji@example.com\t": "minji@example.com",
		"ｍｉｎｊｉ＠ｅｘａｍｐｌｅ．ｃｏｍ": "minji@example.com", "minji@example．com": "minji@example.com",
		"김민지@example.com": "김민지@example.com", "\u1100\u1175\u11b7@example.com": "김@example.com", "ÜBER@Bücher.example": "über@bücher.example",
		// The migrations rely on this.
		ascii.String(): strings.ToLower(ascii.String()), long: long,
		"minji@bücher.example": "minji@bücher.example", "minji@xn--bcher-kva.example": "minji@xn--bcher-kva.example",
		// These have no form.
		"": "", " ": "", "a b@example.com": "", "🔑@example.com": "", "שלום@example.com": "", "a\x00@example.com": "", "\xff@example.com": "",
		"l" + long: "", "a\u200b@example.com": "",
	} {
		if got := accounts.EmailForm(address); got != want {
			t.Errorf("the form of %q is %q, not %q", address, got, want)
		}
		if again := accounts.EmailForm(want); again != want {
			t.Errorf("the form of the form %q is %q", want, again)
		}
	}
}
