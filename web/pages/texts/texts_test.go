package texts

import (
	"maps"
	"os"
	"path/filepath"
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
		for _, place := range []string{"%s", "%d", "%"} {
			if strings.Count(text, place) != strings.Count(english[name], place) {
				t.Errorf("%q has %q in one language and not in the other", name, place)
			}
		}
	}
	templates := read(t, "../*.html")
	for _, m := range regexp.MustCompile(`\.T "([^"]+)"`).FindAllStringSubmatch(templates, -1) {
		if english[m[1]] == "" {
			t.Errorf("a page uses %q, which is not there", m[1])
		}
	}
	source := templates + read(t, "../../*.go") + read(t, "../content.go") + read(t, "../pages.go") + read(t, "texts.go")
	for _, name := range names {
		// Under a heading, the text of the same name says what to do.
		if !strings.Contains(source, `"`+strings.TrimSuffix(name, " text")+`"`) && !strings.HasPrefix(name, "scope ") && !strings.HasPrefix(name, "fault of ") {
			t.Errorf("nothing uses %q", name)
		}
	}
}

func TestTheLanguageIsWhatThePersonChoseElseTheClientElseTheBrowser(t *testing.T) {
	t.Parallel()
	for _, c := range [][4]string{
		{"", "", "", "en"}, {"", "", "ko", "ko"}, {"", "", "ko-KR,ko;q=0.9,en;q=0.8", "ko"}, {"", "", "fr, en;q=0.5", "en"}, {"", "", "fr", "en"},
		{"", "ko", "en", "ko"}, {"", "fr ko", "en", "ko"}, {"", "xx-nonsense-!", "ko", "ko"}, {"", "", ";;;", "en"}, {"", "en-GB", "ko", "en"},
		{"ko", "", "en", "ko"}, {"en", "ko", "ko", "en"}, {"<script>", "", "ko", "ko"}, {"fr", "ko", "en", "ko"},
	} {
		if got := For(c[0], c[1], c[2]).Lang; got != c[3] {
			t.Errorf("chosen %q, ui_locales %q, Accept-Language %q: %s, not %s", c[0], c[1], c[2], got, c[3])
		}
	}
}

// read returns the content of all files that match a pattern.
func read(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(names), err)
	}
	var all strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}
