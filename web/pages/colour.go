package pages

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// colour is a colour on a screen: red, green and blue, each from 0 to 1.
type colour [3]float64

// parseColour reads #rrggbb.
func parseColour(s string) (colour, error) {
	digits, ok := strings.CutPrefix(s, "#")
	n, err := strconv.ParseUint(digits, 16, 24)
	if !ok || len(digits) != 6 || err != nil {
		return colour{}, fmt.Errorf("%q is not a colour; write for example #1a5fb4", s)
	}
	return colour{float64(n>>16) / 255, float64(n>>8&255) / 255, float64(n&255) / 255}, nil
}

// luminance returns how bright a colour is, from 0 to 1 (WCAG 2.2, relative luminance).
func (c colour) luminance() float64 {
	var linear [3]float64
	for i, v := range c {
		if linear[i] = v / 12.92; v > 0.04045 {
			linear[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}

// contrast returns the contrast ratio of two colours, from 1 to 21 (WCAG 2.2).
func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// The contrasts that WCAG 2.2 AA demands: of text with its background (1.4.3), and of a
// control or its state with its surroundings (1.4.11).
const (
	textContrast    = 4.5
	controlContrast = 3
)

var white, black = colour{1, 1, 1}, colour{}

// palette has the colours of the style sheet in one theme, by name.
type palette map[string]colour

// themeNames are the themes in the order in which palettesOf returns them.
var themeNames = [2]string{"light", "dark"}

var (
	rootRule = regexp.MustCompile(`:root \{([^}]*)\}`)
	variable = regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`)
)

// palettesOf reads the colours of a style sheet. The first rule for :root has the light
// colours; the second has the colours that differ in the dark theme.
func palettesOf(style string) (themes [2]palette, err error) {
	rules := rootRule.FindAllStringSubmatch(style, -1)
	if len(rules) < 2 {
		return themes, fmt.Errorf("the style sheet has %d rules for :root, not one for each theme", len(rules))
	}
	for i := range themes {
		themes[i] = palette{}
		for _, rule := range rules[:i+1] {
			for _, v := range variable.FindAllStringSubmatch(rule[1], -1) {
				if themes[i][v[1]], err = parseColour(v[2]); err != nil {
					return themes, err
				}
			}
		}
	}
	return themes, nil
}
