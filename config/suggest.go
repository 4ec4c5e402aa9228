package config

import (
	"slices"
	"strings"
)

// suggest returns the setting that a misspelt name is probably meant for.
func suggest(name string, names []string) string {
	best, nearest := "", 4
	for _, candidate := range slices.Sorted(slices.Values(names)) {
		d := distance(name, candidate)
		if extends(name, candidate) || extends(candidate, name) {
			// One word too many, as in INGAM_DATABASE_URL, or a missing section, counts
			// as a small mistake.
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

// extends reports whether long is short with words before or after it. The first word
// of a variable, INGAM, does not count, because all variables share it.
func extends(long, short string) bool {
	words := func(s string) string {
		return "_" + strings.ReplaceAll(strings.TrimPrefix(s, "INGAM_"), ".", "_") + "_"
	}
	return long != short && (strings.HasPrefix(words(long), words(short)) || strings.HasSuffix(words(long), words(short)))
}

// distance returns how many letters must be changed, added or removed to turn a into b
// (Levenshtein distance).
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
