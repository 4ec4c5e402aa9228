package accounts

import (
	"strings"
	"testing"
)

// TestALongPasswordIsWeighedByItsBeginning: length alone makes none that is not
// guessed first.
func TestALongPasswordIsWeighedByItsBeginning(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("minji", 13) // as long as what is weighed, and more
	u := User{Username: "minji", Email: long + "@test.example"}
	for password, want := range map[string]bool{
		strings.Repeat("a", weighed): true, strings.Repeat("a", weighed+1): true, strings.Repeat("a", MaxPassword): true,
		long + "1!": true,
		// Cut through the middle of a character, which is none.
		strings.Repeat("a", weighed-1) + "김민지":                                   true,
		"correct horse battery staple, and then as many words more as one likes": false,
		strings.Repeat("4711 secrets of a house ", 10):                           false,
	} {
		if got := guessable(password, u); got != want {
			t.Errorf("%q: %t", password, got)
		}
	}
}
