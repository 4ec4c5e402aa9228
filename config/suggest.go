package config

import (
	"slices"
	"strings"
)

// suggest names the setting that a misspelt one may be meant for.
func suggest(name string, names []string) string {
	best, nearest := "", 4
	for _, candidate := range slices.Sorted(slices.Values(names)) {
		d := distance(name, candidate)
		if extends(name, candidate) || extends(candidate, name) {
			// A word too many, as in INGAM_DATABASE_URL, or a section left out.
			d = min(d, 1)
		}
		if d < nearest {
			best, nearest = candidate, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// extends reports whether long is short with words before or after it. A
// variable's first word is INGAM, which every other shares.
func extends(long, short string) bool {
	words := func(s string) string {
		return "_" + strings.ReplaceAll(strings.TrimPrefix(s, "INGAM_"), ".", "_") + "_"
	}
	return long != short && (strings.HasPrefix(words(long), words(short)) || strings.HasSuffix(words(long), words(short)))
}

// distance is how many letters to change to get from a to b (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
