package pages

import (
	"io/fs"
	"maps"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestBothLanguagesHaveTheTextsThatAreUsedAndNoOthers(t *testing.T) {
	t.Parallel()
	names := slices.Sorted(maps.Keys(english))
	if korean := slices.Sorted(maps.Keys(korean)); !slices.Equal(names, korean) {
		t.Errorf("English has %q, Korean %q", names, korean)
	}
	for name, text := range korean {
		if text == "" || text == english[name] {
			t.Errorf("%q is not translated", name)
		}
	}
	var source string
	templates, err := fs.Glob(files, "*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range templates {
		b, err := files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source += string(b)
	}
	for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(source, -1) {
		if english[m[1]] == "" {
			t.Errorf("a page uses %q, which is not there", m[1])
		}
	}
	handlers, err := os.ReadFile("../people.go")
	if err != nil {
		t.Fatal(err)
	}
	source += string(handlers)
	for _, name := range names {
		if !strings.Contains(source, `"`+name+`"`) && !strings.HasPrefix(name, "scope ") {
			t.Errorf("nothing uses %q", name)
		}
	}
}

func TestTheLanguageIsTheClientsOrThePersonsChoice(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{
		{"", "", "en"}, {"", "ko", "ko"}, {"", "ko-KR,ko;q=0.9,en;q=0.8", "ko"}, {"", "fr, en;q=0.5", "en"}, {"", "fr", "en"},
		{"ko", "en", "ko"}, {"fr ko", "en", "ko"}, {"xx-nonsense-!", "ko", "ko"}, {"", ";;;", "en"}, {"en-GB", "ko", "en"},
	} {
		if got := TextFor(c[0], c[1]).Lang; got != c[2] {
			t.Errorf("ui_locales %q, Accept-Language %q: %s, not %s", c[0], c[1], got, c[2])
		}
	}
}

func TestWhatIsShownIsNeverMarkup(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	for name, data := range map[string]any{
		"login": struct{ Client, Then, Username, Problem string }{evil, evil, evil, "wrong"},
		"consent": struct {
			Client, Host, Username, Request, Session, Switch string
			Scopes                                           []string
		}{evil, evil, evil, evil, evil, evil, []string{evil}},
		"logout": struct{ Username, Request, NoReturn string }{evil, evil, "nobody asks"},
		"error":  struct{ Advice, Description string }{"error request", evil},
		"post": struct {
			Action string
			Fields []struct{ Name, Value string }
		}{"javascript:alert(1)", []struct{ Name, Value string }{{evil, evil}}},
	} {
		w := httptest.NewRecorder()
		Write(w, TextFor("", ""), "", evil, Page{Name: name, Title: "sign in", Status: 200, Data: data, Script: name == "post"})
		body := w.Body.String()
		if strings.Contains(body, "<script>alert") || strings.Contains(body, "<img") || strings.Contains(body, `action="javascript:`) {
			t.Errorf("%s:\n%s", name, body)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "script-src") != (name == "post") {
			t.Errorf("%s: %s", name, policy)
		}
	}
}
