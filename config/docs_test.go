package config

import (
	"os"
	"strings"
	"testing"
)

func TestTheDocumentationHasEverySettingAsItIs(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings(&Config{}) {
		byDefault := "`" + s.byDefault + "`"
		if s.byDefault == "" {
			byDefault = " "
		}
		row := "| `" + s.key + "` | `" + s.env() + "` | " + byDefault + " | " + s.doc + " |\n"
		if !strings.Contains(string(b), row) {
			t.Errorf("docs/configuration.md lacks the row\n%s", row)
		}
	}
}
