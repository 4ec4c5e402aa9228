package config

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Print writes the effective configuration as YAML that can be loaded again, without
// secrets, and with the source of each value. Paths are absolute, so that they lead to
// the same files wherever it is loaded.
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

// plain matches text that means the same in YAML with and without quotes.
var plain = regexp.MustCompile(`^[a-zA-Z0-9/][a-zA-Z0-9/_.:@?=&%+-]*[a-zA-Z0-9/_.?=&%+-]$|^[0-9]+$`)

// plainOr writes a scalar on one line, so that a comment can follow it. YAML
// understands the escapes of strconv.Quote.
func plainOr(text string) string {
	if plain.MatchString(text) && !strings.EqualFold(text, "null") {
		return text
	}
	return strconv.Quote(text)
}
