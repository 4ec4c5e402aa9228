package main

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/ingam/ingam/web/pages"
)

// TestTheDemonstrationShowsNoWordsOfStrangers: otherwise the author of a link could make
// the page show any text.
func TestTheDemonstrationShowsNoWordsOfStrangers(t *testing.T) {
	t.Parallel()
	shown, err := pages.New("", pages.House{Name: "Demo"})
	if err != nil {
		t.Fatal(err)
	}
	app := demoClientApp{issuer: "https://ingam.test", pages: shown}
	const words, answer = "Call 555 0100", "?error=access_denied&error_description=Call+555+0100"
	for query, cookie := range map[string]string{
		answer: "", answer + "&iss=https://ingam.test": "", answer + "&iss=https://ingam.test&state=": "s.v",
		answer + "&state=s&iss=https://other.test": "s.v", answer + "&state=x&iss=https://ingam.test": "s.v",
		answer + "&state=s&iss=https://ingam.test": "s.v", // the server's own error is shown
	} {
		r, w := httptest.NewRequest(http.MethodGet, demoPath+query, nil), httptest.NewRecorder()
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: demoCookie, Value: cookie})
		}
		app.serve(w, r)
		if own := strings.Contains(query, "state=s&iss=https://ingam.test"); strings.Contains(w.Body.String(), words) != own {
			t.Errorf("%s with %q: %s", query, cookie, w.Body)
		}
	}
}

// TestThePathOfTheBinaryIsPrintedAsOneWordOfAShell: other tests call the binary by its bare
// name, so its path is tested here.
func TestThePathOfTheBinaryIsPrintedAsOneWordOfAShell(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"ingam", "./bin/ingam", "/opt/the operator's $HOME/ingam", `/a\b/"c"/*;&|` + "`d`/ingam", "/é/ingam"} {
		out, err := exec.Command("sh", "-c", "printf %s. "+shellWord(path)).Output()
		if err != nil || string(out) != path+"." {
			t.Errorf("%s is %s to a shell: %v", path, out, err)
		}
	}
	if word := shellWord("./bin/ingam"); word != "./bin/ingam" {
		t.Errorf("what needs no quotes has them: %s", word)
	}
}
