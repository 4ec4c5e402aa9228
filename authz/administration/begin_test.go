package administration

import (
	"os"
	"strings"
	"testing"
)

// TestEachScopeIsToldOf: people are told what a scope allows, in both languages, and the
// documentation lists it.
func TestEachScopeIsToldOf(t *testing.T) {
	t.Parallel()
	docs, err := os.ReadFile("../../docs/administration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range Scopes {
		if s.Text == "" || korean[s.Name] == "" || !strings.Contains(string(docs), "`"+s.Name+"`") {
			t.Errorf("%s: %q, %q", s.Name, s.Text, korean[s.Name])
		}
	}
	if len(korean) != len(Scopes) {
		t.Error("there is a Korean text for what is no scope")
	}
}
