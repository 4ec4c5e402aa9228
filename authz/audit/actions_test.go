package audit

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTheDocumentTellsOfEachAction, also of those of package keys.
func TestTheDocumentTellsOfEachAction(t *testing.T) {
	t.Parallel()
	read := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	document, n := read("../../docs/audit.md"), 0
	for _, m := range regexp.MustCompile(`\bAction += "([^"]+)"`).FindAllStringSubmatch(read("audit.go")+read("../../keys/store.go"), -1) {
		if n++; !strings.Contains(document, "`"+m[1]+"`") {
			t.Errorf("docs/audit.md does not tell of %s", m[1])
		}
	}
	if n < 40 {
		t.Errorf("there are only %d actions", n)
	}
}
