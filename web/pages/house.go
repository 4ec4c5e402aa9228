package pages

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode"
)

// House is what a company puts on the pages, so that people know whose pages they are.
type House struct {
	// Name stands beside the logo, and in every title.
	Name string
	// LogoFile is a PNG or an SVG that replaces the seal; may be empty.
	LogoFile string
	// Accent and AccentDark are the colours, #rrggbb, of the main button of a page in
	// the light and in the dark theme. Without AccentDark, Accent is used in both. Both
	// may be empty.
	Accent, AccentDark string
	// Help, Terms and Privacy are the addresses of the links at the foot; may be empty.
	Help, Terms, Privacy string
}

// check refuses a name that is too long for a title or has invisible characters.
func (h House) check() error {
	if len(h.Name) > maxName || strings.TrimSpace(h.Name) != h.Name || strings.ContainsFunc(h.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("pages.name: %q is not a name of %d bytes at most, of visible characters", h.Name, maxName)
	}
	return nil
}

const maxName = 120

// The limits of a logo. A page stays below 40 kB with it, and a small file cannot contain a
// picture that fills the memory of a browser.
const (
	maxLogo     = 20 << 10
	maxLogoSide = 2048
)

// logo is the mark of a company.
type logo struct {
	body                   []byte
	contentType, extension string
	// width and height are its size on a page, in CSS pixels. The browser is told them,
	// so that nothing moves when the picture arrives.
	width, height int
}

// The greatest height and width of a logo on a page.
const (
	logoHeight = 36
	logoWidth  = 220
)

// readLogo reads the logo in a file.
func readLogo(file string) (*logo, error) {
	// Opening a pipe would wait until somebody writes to it, perhaps forever.
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxLogo+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxLogo {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, maxLogo)
	}
	l, read := &logo{body: body, contentType: "image/png", extension: ".png"}, pngSize
	if !bytes.HasPrefix(body, []byte("\x89PNG")) {
		l.contentType, l.extension, read = "image/svg+xml", ".svg", svgSize
	}
	w, h, err := read(body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	scale := min(logoHeight/h, logoWidth/w)
	l.width, l.height = max(1, int(math.Round(w*scale))), max(1, int(math.Round(h*scale)))
	return l, nil
}

func pngSize(body []byte) (w, h float64, err error) {
	size, err := png.DecodeConfig(bytes.NewReader(body))
	if err != nil {
		return 0, 0, fmt.Errorf("it is not a whole PNG: %w", err)
	}
	if size.Width > maxLogoSide || size.Height > maxLogoSide {
		return 0, 0, fmt.Errorf("it is %d by %d pixels, and no side may have more than %d", size.Width, size.Height, maxLogoSide)
	}
	if _, err := png.Decode(bytes.NewReader(body)); err != nil {
		return 0, 0, fmt.Errorf("it is not a whole PNG: %w", err)
	}
	return float64(size.Width), float64(size.Height), nil
}

// svgSize returns the size of an SVG. It reads the file to its end, because a browser does
// not show an SVG that is not well-formed. The decoder accepts text and more elements
// beside the root element, so svgSize refuses them.
func svgSize(body []byte) (w, h float64, err error) {
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	root, depth := false, 0
	malformed := func(err error) (_, _ float64, _ error) {
		return 0, 0, fmt.Errorf("it is neither a PNG nor a well-formed SVG: %w", err)
	}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root {
			return w, h, nil
		}
		if err != nil {
			return malformed(err)
		}
		switch token := token.(type) {
		case xml.EndElement:
			depth--
		case xml.CharData:
			if depth == 0 && len(bytes.TrimSpace(token)) > 0 {
				return malformed(errors.New("there is text beside the drawing"))
			}
		case xml.StartElement:
			if depth++; depth > 1 {
				continue
			}
			if root {
				return malformed(errors.New("there is something after the drawing"))
			}
			if root = true; token.Name.Local != "svg" || token.Name.Space != "http://www.w3.org/2000/svg" {
				return 0, 0, errors.New(`it is neither a PNG nor an SVG; the latter begins with <svg xmlns="http://www.w3.org/2000/svg"`)
			}
			if w, h, err = sizeOf(token); err != nil {
				return 0, 0, err
			}
		}
	}
}

// sizeOf returns the width and height of an SVG. From a viewBox, only their ratio is known.
func sizeOf(svg xml.StartElement) (w, h float64, err error) {
	attr := func(name string) string {
		for _, a := range svg.Attr {
			if a.Name.Local == name && a.Name.Space == "" {
				return a.Value
			}
		}
		return ""
	}
	if box := strings.FieldsFunc(attr("viewBox"), func(r rune) bool { return r == ',' || r <= ' ' }); len(box) == 4 {
		w, h = number(box[2]), number(box[3])
	} else {
		w, h = number(strings.TrimSuffix(attr("width"), "px")), number(strings.TrimSuffix(attr("height"), "px"))
	}
	if w <= 0 || h <= 0 {
		return 0, 0, errors.New("the SVG does not say how large it is: give it a viewBox")
	}
	return w, h, nil
}

// number parses a width or height. It returns zero for everything that is not a finite
// number.
func number(s string) float64 {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return 0
	}
	return n
}

// accented returns the rules that give the main button the accent; they are appended to the
// style sheet. It is an error if the accent cannot be seen on the pages.
func (h House) accented(themes [2]palette) (string, error) {
	accents, settings := [2]string{h.Accent, h.AccentDark}, [2]string{"pages.accent", "pages.accent_dark"}
	switch {
	case h.Accent == "" && h.AccentDark != "":
		return "", errors.New("pages.accent_dark is set and pages.accent is not")
	case h.Accent == "":
		return "", nil
	case h.AccentDark == "":
		accents[1], settings[1] = accents[0], settings[0]
	}
	var rules [2]string
	for i, theme := range themes {
		accent, err := parseColour(accents[i])
		if err != nil {
			return "", fmt.Errorf("%s: %w", settings[i], err)
		}
		for _, behind := range []string{"card", "paper"} {
			got := contrast(accent, theme[behind])
			if got >= controlContrast {
				continue
			}
			way := "choose another"
			if i == 1 && h.AccentDark == "" {
				way = "set pages.accent_dark, too, to a lighter one"
			}
			return "", fmt.Errorf("%s: %s cannot be told from what is behind it in the %s theme: the contrast is %.1f and has to be %d or more (WCAG 2.2, 1.4.11); %s",
				settings[i], accents[i], themeNames[i], got, controlContrast, way)
		}
		// On every colour, white or black has a contrast of 4.58 or more (WCAG 2.2,
		// 1.4.3).
		on := "#ffffff"
		if contrast(accent, white) < contrast(accent, black) {
			on = "#000000"
		}
		rules[i] = fmt.Sprintf(":root { --action: %s; --on-action: %s; }", accents[i], on)
	}
	return rules[0] + "\n@media (prefers-color-scheme: dark) { " + rules[1] + " }\n", nil
}
