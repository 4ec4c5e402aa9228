package pages

import (
	"bytes"
	"compress/gzip"
	"image"
	"image/png"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/ingam/ingam/web/pages/texts"
)

// pairs are the colours of the style sheet that touch each other, with the contrast that
// they need (WCAG 2.2 AA, 1.4.3 and 1.4.11).
var pairs = []struct {
	front, back string
	least       float64
}{
	{"ink", "paper", textContrast}, {"ink", "card", textContrast}, {"ink", "line", textContrast},
	{"soft", "paper", textContrast}, {"soft", "card", textContrast},
	{"on-action", "action", textContrast}, {"action", "card", controlContrast}, {"action", "paper", controlContrast},
	{"bad", "bad-back", textContrast}, {"good", "good-back", textContrast}, {"bad", "card", controlContrast},
	{"edge", "card", controlContrast}, {"edge", "paper", controlContrast},
	{"focus", "card", controlContrast}, {"focus", "paper", controlContrast},
	{"seal", "paper", controlContrast}, {"on-seal", "seal", controlContrast},
}

// different are colours with different meanings, so no two of them may be the same.
var different = []string{"action", "focus", "bad", "good", "seal"}

// TestTheFirstPartyExampleHasTheColoursOfThePages: the example of an app has the colours of
// the pages, but a mark of its own.
func TestTheFirstPartyExampleHasTheColoursOfThePages(t *testing.T) {
	t.Parallel()
	example, err := palettesOf(string(must(os.ReadFile("../../docs/first-party-example.html"))))
	if err != nil {
		t.Fatal(err)
	}
	themes := must(palettesOf(string(must(files.ReadFile("style.css")))))
	for i, theme := range example {
		for name, colour := range theme {
			if same, known := themes[i][name]; name != "mark" && (!known || colour != same) {
				t.Errorf("%s: %s is another", themeNames[i], name)
			}
		}
		mark := theme["mark"]
		if mark == theme["seal"] || contrast(mark, theme["paper"]) < controlContrast || contrast(mark, theme["card"]) < controlContrast {
			t.Errorf("%s: the mark cannot be seen, or is Ingam's", themeNames[i])
		}
	}
}

func TestEveryPairOfColoursCanBeTold(t *testing.T) {
	t.Parallel()
	style := string(must(files.ReadFile("style.css")))
	themes, err := palettesOf(style)
	if err != nil {
		t.Fatal(err)
	}
	paired := map[string]bool{}
	for i, theme := range themes {
		for _, p := range pairs {
			paired[p.front], paired[p.back] = true, true
			front, ok1 := theme[p.front]
			back, ok2 := theme[p.back]
			if got := contrast(front, back); !ok1 || !ok2 || got < p.least {
				t.Errorf("%s: %s on %s is %.2f, not %v or more", themeNames[i], p.front, p.back, got, p.least)
			}
		}
		for name := range theme {
			if !paired[name] {
				t.Errorf("nothing is said of what %s meets", name)
			}
		}
		for j, a := range different {
			for _, b := range different[:j] {
				if theme[a] == theme[b] {
					t.Errorf("%s: %s and %s look alike", themeNames[i], a, b)
				}
			}
		}
	}
	// Without this check, there could be colours that this test does not see.
	rest := rootRule.ReplaceAllString(style, "")
	if other := regexp.MustCompile(`(?i)#[0-9a-f]{3,8}\b|\brgba?\(|\bhsla?\(|\bcolor-mix\(|:\s*(white|black|red|blue|green|gr[ae]y)\b|opacity`).FindString(rest); other != "" {
		t.Errorf("the style sheet has %q beside the colours with a name", other)
	}
}

func TestContrastIsThatOfWCAG(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#ffffff", "#ffffff", 1}, {"#777777", "#ffffff", 4.48}, {"#767676", "#ffffff", 4.54}, {"#ff0000", "#ffffff", 4.00}, {"#0000ff", "#ffffff", 8.59}} {
		got := contrast(must(parseColour(c.a)), must(parseColour(c.b)))
		if got < c.want-0.01 || got > c.want+0.01 {
			t.Errorf("%s on %s is %.3f, not %v", c.a, c.b, got, c.want)
		}
	}
	for _, s := range []string{"", "#", "#12345", "#1234567", "123456", "#12345g", "#+12345", "red", "#fff", " #123456", "#123456;}"} {
		if _, err := parseColour(s); err == nil {
			t.Errorf("%q is taken for a colour", s)
		}
	}
}

func TestAnAccentHasToBeSeenInBothThemes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ light, dark, wrong string }{
		{"", "", ""},
		{"#2a7a4b", "", ""},                                  // visible in both
		{"#003366", "#7ab3ff", ""},                           // one for each theme
		{"#003366", "", "in the dark theme"},                 // navy, in the dark
		{"#003366", "", "pages.accent_dark"},                 // the error names the setting that helps
		{"#ffe066", "", "in the light theme"},                // yellow, in the light
		{"#2a7a4b", "#003366", "pages.accent_dark: #003366"}, // the second is wrong
		{"", "#7ab3ff", "pages.accent is not"},
		{"green", "", `pages.accent: "green" is not a colour`},
		{"#2a7a4b", "x", `pages.accent_dark: "x" is not a colour`},
		{"#fff;} body{display:none", "", "is not a colour"},
	} {
		p, err := New("", House{Name: "Acme", Accent: c.light, AccentDark: c.dark})
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("%s, %s: %v, and not %s", c.light, c.dark, err, c.wrong)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s, %s: %v", c.light, c.dark, err)
			continue
		}
		w := httptest.NewRecorder()
		p.Asset(w, httptest.NewRequest("GET", "/", nil), p.Style)
		if c.light != "" && !strings.Contains(w.Body.String(), "--action: "+c.light+";") {
			t.Errorf("%s is not in the style sheet", c.light)
		}
	}
	// Text on the button is readable, whatever the accent is.
	for n := range 1 << 12 {
		accent := colour{float64(n>>8) / 15, float64(n>>4&15) / 15, float64(n&15) / 15}
		if best := max(contrast(accent, white), contrast(accent, black)); best < textContrast {
			t.Fatalf("nothing can be read on %v: %v", accent, best)
		}
	}
}

func pictureOf(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestALogoIsAPictureThatFits(t *testing.T) {
	t.Parallel()
	const ns = `xmlns="http://www.w3.org/2000/svg"`
	whole := pictureOf(t, 400, 100)
	for name, c := range map[string]struct {
		body          []byte
		width, height int
		wrong         string
	}{
		"a wide PNG":            {whole, 144, 36, ""},
		"a very wide one":       {pictureOf(t, 2000, 100), 220, 11, ""},
		"a square SVG":          {[]byte(`<svg ` + ns + ` viewBox="0 0 32 32"><rect width="32" height="32"/></svg>`), 36, 36, ""},
		"a measured SVG":        {[]byte(`<?xml version="1.0"?><!-- mark --><svg ` + ns + ` width="60px" height="30"/>`), 72, 36, ""},
		"half a PNG":            {whole[:len(whole)/2], 0, 0, "not a whole PNG"},
		"a PNG's beginning":     {whole[:10], 0, 0, "not a whole PNG"},
		"a PNG that is a bomb":  {pictureOf(t, 2049, 10), 0, 0, "no side may have more than 2048"},
		"a JPEG":                {[]byte("\xff\xd8\xff\xe0 JFIF"), 0, 0, "neither a PNG nor"},
		"a page":                {[]byte(`<html><body/></html>`), 0, 0, "neither a PNG nor an SVG"},
		"an SVG of no space":    {[]byte(`<svg viewBox="0 0 1 1"/>`), 0, 0, "neither a PNG nor an SVG"},
		"an SVG without a size": {[]byte(`<svg ` + ns + ` width="100%"/>`), 0, 0, "viewBox"},
		"an SVG of size none":   {[]byte(`<svg ` + ns + ` viewBox="0 0 0 NaN"/>`), 0, 0, "viewBox"},
		"half an SVG":           {[]byte(`<svg ` + ns + ` viewBox="0 0 1 1"><g>`), 0, 0, "well-formed"},
		"two in one":            {[]byte(`<svg ` + ns + ` viewBox="0 0 1 1"/><p>`), 0, 0, "well-formed"},
		"two drawings in one":   {[]byte(`<svg ` + ns + ` viewBox="0 0 1 1"/><svg ` + ns + ` viewBox="0 0 1 1"/>`), 0, 0, "well-formed"},
		"an SVG, and a text":    {[]byte(`<svg ` + ns + ` viewBox="0 0 1 1"/>after`), 0, 0, "well-formed"},
		"a text, and an SVG":    {[]byte(`before<svg ` + ns + ` viewBox="0 0 1 1"/>`), 0, 0, "well-formed"},
		"an SVG among comments": {[]byte("\ufeff<?xml version=\"1.0\"?><!-- a -->\n<svg " + ns + " viewBox=\"0 0 1 1\">\n<g/></svg>\n<!-- b --><?c?>\n"), 36, 36, ""},
		"nothing":               {nil, 0, 0, "neither a PNG nor"},
		"too much":              {bytes.Repeat([]byte(" "), maxLogo+1), 0, 0, "larger than 20480 bytes"},
	} {
		file := filepath.Join(t.TempDir(), "logo")
		if err := os.WriteFile(file, c.body, 0o600); err != nil {
			t.Fatal(err)
		}
		p, err := New("", House{Name: "Acme", LogoFile: file})
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) || !strings.HasPrefix(err.Error(), "pages.logo_file: ") {
				t.Errorf("%s: %v, and not %s", name, err, c.wrong)
			}
			continue
		}
		if err != nil || p.Logo.Width != c.width || p.Logo.Height != c.height {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if _, err := New("", House{Name: "Acme", LogoFile: filepath.Join(t.TempDir(), "none")}); err == nil || !strings.HasPrefix(err.Error(), "pages.logo_file: ") {
		t.Errorf("no file: %v", err)
	}
	// Reading from a pipe could block forever.
	for _, other := range []string{t.TempDir(), os.DevNull} {
		if _, err := New("", House{Name: "Acme", LogoFile: other}); err == nil || err.Error() != "pages.logo_file: "+other+" is not a file" {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// TestALogoIsAPictureAlone: somebody who can change the logo file must not be able to run
// scripts on this origin.
func TestALogoIsAPictureAlone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "logo.svg")
	drawing := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><script>parent.evil = 1</script></svg>`
	if err := os.WriteFile(file, []byte(drawing), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New("/auth", House{Name: "Acme", LogoFile: file})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	p.Write(w, Shown{Text: texts.For("", "", "")}, 200, Login{})
	if page := w.Body.String(); strings.Contains(page, "parent.evil") || !strings.Contains(page, `<img src="/auth`+p.Logo.Path+`" width="36" height="36" alt="">`) ||
		!strings.Contains(page, `<link rel="icon" href="/auth`+p.Logo.Path+`">`) || strings.Contains(page, "seal") {
		t.Errorf("%s", page)
	}
	w = httptest.NewRecorder()
	p.Asset(w, httptest.NewRequest("GET", "/", nil), p.Logo.Path)
	policy := w.Header().Get("Content-Security-Policy")
	if w.Body.String() != drawing || w.Header().Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(policy, "default-src 'none'; ") || !strings.HasSuffix(policy, "; sandbox") {
		t.Errorf("%v %s", w.Header(), w.Body)
	}
}

func TestAssetsAreKeptByTheirHash(t *testing.T) {
	t.Parallel()
	p, err := New("", House{Name: "Acme"})
	if err != nil {
		t.Fatal(err)
	}
	accented, err := New("", House{Name: "Acme", Accent: "#2a7a4b"})
	if err != nil {
		t.Fatal(err)
	}
	if p.Style == accented.Style || p.Script != accented.Script {
		t.Errorf("%s %s, %s %s", p.Style, accented.Style, p.Script, accented.Script)
	}
	for path, want := range map[string]string{
		p.Style: "immutable", p.Script: "immutable", p.Icon: "immutable",
		// Pages of another version request these during an upgrade.
		accented.Style: "max-age=60", AssetPath + "style.css": "max-age=60", AssetPath + "page.0.js": "max-age=60",
		AssetPath: "", AssetPath + "..": "", AssetPath + "style": "", AssetPath + "style.css.js": "", AssetPath + "logo.svg": "", AssetPath + "../seal.svg": "",
	} {
		w := httptest.NewRecorder()
		found := p.Asset(w, httptest.NewRequest("GET", "/", nil), path)
		if kept := w.Header().Get("Cache-Control"); found != (want != "") || !strings.Contains(kept, want) {
			t.Errorf("%s: %v %s", path, found, kept)
		}
	}
}

func TestAHouseHasANameThatATitleCanHold(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Acme & Söhne <GmbH>", "인감", "שלום", strings.Repeat("n", 120)} {
		if _, err := New("", House{Name: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{" Acme", "Acme\n", "Ac\x00me", "Ac\u202eme", "Ac\u2066me", strings.Repeat("n", 121)} {
		if _, err := New("", House{Name: name}); err == nil || !strings.HasPrefix(err.Error(), "pages.name: ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestAssetsAreZippedForWhoTakesThem: browsers that accept gzip get the same content in
// gzip.
func TestAssetsAreZippedForWhoTakesThem(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "logo.png")
	if err := os.WriteFile(file, pictureOf(t, 40, 10), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := New("", House{Name: "Acme", LogoFile: file})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, accepts string) (http.Header, []byte) {
		t.Helper()
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Encoding", accepts)
		if !p.Asset(w, r, path) || w.Header().Get("Content-Length") != strconv.Itoa(w.Body.Len()) {
			t.Fatalf("%s: %v", path, w.Header())
		}
		return w.Header(), w.Body.Bytes()
	}
	for _, path := range []string{p.Style, p.Script} {
		_, whole := get(path, "")
		for _, accepts := range []string{"br, identity", "gzip;q=0", "*;q=0", "x-gzip"} {
			if h, body := get(path, accepts); h.Get("Content-Encoding") != "" || h.Get("Vary") != "Accept-Encoding" || !bytes.Equal(body, whole) {
				t.Errorf("%s for %q: %v", path, accepts, h)
			}
		}
		for _, accepts := range []string{"gzip", "gzip, deflate, br, zstd", "br,gzip"} {
			h, body := get(path, accepts)
			if h.Get("Content-Encoding") != "gzip" || h.Get("Vary") != "Accept-Encoding" || len(body) >= len(whole)/2 {
				t.Errorf("%s for %q: %v, %d of %d bytes", path, accepts, h, len(body), len(whole))
			}
			if got := must(io.ReadAll(must(gzip.NewReader(bytes.NewReader(body))))); !bytes.Equal(got, whole) {
				t.Errorf("%s for %q is another", path, accepts)
			}
		}
	}
	if h, _ := get(p.Logo.Path, "gzip"); h.Get("Content-Encoding") != "" || h.Get("Vary") != "" {
		t.Errorf("what is small already: %v", h)
	}
}
