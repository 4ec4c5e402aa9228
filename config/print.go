package config

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Print writes the effective configuration as YAML that can be read again,
// without secrets, and with where each value comes from. Paths are absolute: read
// again from anywhere, they lead to the same files.
func (c *Config) Print(w io.Writer) error {
	var b strings.Builder
	section := ""
	for _, s := range settings(c) {
		name, indent := s.key, ""
		if of, rest, nested := strings.Cut(s.key, "."); nested {
			if of != section {
				fmt.Fprintf(&b, "%s:\n", of)
			}
			section, name, indent = of, rest, "  "
		}
		value := plainOr(absolute("", s.key, s.text()))
		if s.nested() != nil {
			value = s.text()
		}
		if s.list() {
			items := split(s.text())
			for i := range items {
				items[i] = strconv.Quote(items[i])
			}
			value = "[" + strings.Join(items, ", ") + "]"
		}
		from := c.sources[s.key]
		if from == byDefault && s.byDefault == "" && !s.list() {
			from = "not set"
		}
		fmt.Fprintf(&b, "%-52s # %s\n", indent+name+": "+value, from)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plain matches what means the same to YAML with and without quotes.
var plain = regexp.MustCompile(`^[a-zA-Z0-9/][a-zA-Z0-9/_.:@?=&%+-]*[a-zA-Z0-9/_.?=&%+-]$|^[0-9]+$`)

// plainOr returns a scalar on one line, so that a comment can follow it. What
// strconv escapes in a quoted string, YAML escapes alike.
func plainOr(text string) string {
	if plain.MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return strconv.Quote(text)
}
