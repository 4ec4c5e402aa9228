package accounts_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ingam/ingam/authz/accounts"
)

// userWith returns a user called minji with claims.
func userWith(t *testing.T, claims map[string]any) accounts.User {
	t.Helper()
	u := accounts.User{Username: "minji", Claims: accounts.Claims{}}
	for name, value := range claims {
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		u.Claims[name] = b
	}
	return u
}

func TestAUserIsCalledByTheBestNameThereIs(t *testing.T) {
	t.Parallel()
	type claims = map[string]any
	for _, c := range []struct {
		claims claims
		want   string
	}{
		{nil, "minji"},
		{claims{"name": "Kim Minji", "nickname": "Min"}, "Kim Minji"},
		{claims{"given_name": "Ada", "family_name": "Lovelace", "nickname": "A"}, "Ada Lovelace"},
		{claims{"given_name": "민지", "family_name": "김"}, "김민지"},
		{claims{"given_name": "太郎", "family_name": "山田"}, "山田太郎"},
		{claims{"given_name": "Minji", "family_name": "김"}, "Minji 김"},
		{claims{"given_name": "Ada"}, "Ada"},
		{claims{"family_name": "김"}, "김"},
		{claims{"nickname": "Min"}, "Min"},
		// A value that is no text, or has nothing visible, is not a name.
		{claims{"name": 7, "given_name": nil, "nickname": []string{"x"}}, "minji"},
		{claims{"name": "", "nickname": "Min"}, "Min"},
		{claims{"name": " \t\n", "nickname": "Min"}, "Min"},
		{claims{"name": "\u200b\u200d\ufe0f\u00ad\ufeff", "nickname": "Min"}, "Min"},
		{claims{"name": "\u3164\u115f\uffa0\u2800", "nickname": "Min"}, "Min"},
		{claims{"name": "\u0301\u0301", "nickname": "Min"}, "Min"},
		// A name is one line, and cannot change the direction of the text around
		// it.
		{claims{"name": "Kim\r\n\u2028 \u0085Min\u00a0ji\x00\x1b[31m"}, "Kim Min ji[31m"},
		{claims{"name": "evil\u202egpj.\u202d\u2066a\u2069\u200f\u200e\u061c"}, "evilgpj.a"},
		{claims{"name": "إيمان"}, "إيمان"},
		{claims{"name": "می\u200cخواهم"}, "می\u200cخواهم"},
		{claims{"name": "👩\u200d🚀 ❤\ufe0f"}, "👩\u200d🚀 ❤\ufe0f"},
		{claims{"name": "a<b>&amp;\""}, "a<b>&amp;\""},
		{claims{"name": "Zoe\u0308"}, "Zoe\u0308"},
	} {
		if got := userWith(t, c.claims).Name(); got != c.want {
			t.Errorf("%q: %q, not %q", c.claims, got, c.want)
		}
	}
	// The stored value is not JSON, or contains half a character.
	for _, raw := range []string{``, `"`, `{`, `"\ud800"`, "\"\xff\""} {
		if got := (accounts.User{Username: "minji", Claims: accounts.Claims{"name": json.RawMessage(raw)}}).Name(); got != "minji" {
			t.Errorf("%q: %q", raw, got)
		}
	}
	if got := (accounts.User{}).Name(); got != "" {
		t.Errorf("of nobody: %q", got)
	}
}

func TestALongNameIsCutBetweenCharacters(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		strings.Repeat("x", 81), strings.Repeat("가", 8000), strings.Repeat("ab ", 100), strings.Repeat("e\u0301", 90), "a" + strings.Repeat("e\u0301", 90),
		strings.Repeat("👩\u200d👩\u200d👧 ", 40), "Z" + strings.Repeat("\u0301", 500),
	} {
		got := userWith(t, map[string]any{"name": name}).Name()
		body, cut := strings.CutSuffix(got, "…")
		if !cut || !strings.HasPrefix(name, body) || utf8.RuneCountInString(got) > 80 || utf8.RuneCountInString(got) < 40 {
			t.Errorf("%.40q: %q", name, got)
			continue
		}
		if rest := strings.TrimLeft(name[len(body):], " "); !strings.HasPrefix(name, "Z") && (strings.HasPrefix(rest, "\u0301") || strings.HasPrefix(rest, "\u200d")) || strings.HasSuffix(body, "\u200d") || strings.HasSuffix(body, " ") {
			t.Errorf("%.40q: cut in the middle: %q", name, got)
		}
	}
	whole := strings.Repeat("가", 80)
	if got := userWith(t, map[string]any{"name": whole}).Name(); got != whole {
		t.Errorf("%q", got)
	}
}

func TestAPictureIsAnAddressOnTheWeb(t *testing.T) {
	t.Parallel()
	for value, whole := range map[any]bool{
		"https://id.test/pictures/minji.png?v=1": true,
		"http://id.test/x":                       true,
		"":                                       false,
		"/pictures/minji.png":                    false,
		"//id.test/x":                            false,
		"javascript:alert(1)":                    false,
		"data:image/png;base64,AAAA":             false,
		"https:///x":                             false,
		"https:x":                                false,
		"https://user:password@id.test/x":        false,
		"https://id.test/\n":                     false,
		"https://id.test/" + strings.Repeat("x", 2000): false,
		7:   false,
		nil: false,
	} {
		want := ""
		if whole {
			want = value.(string)
		}
		if got := userWith(t, map[string]any{"picture": value}).Picture(); got != want {
			t.Errorf("%v: %q", value, got)
		}
	}
	if got := (accounts.User{}).Picture(); got != "" {
		t.Errorf("of nobody: %q", got)
	}
}
