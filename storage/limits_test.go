package storage

import (
	"testing"

	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/config/limits"
)

// TestRowsAreKeptForAsLongAsSomethingIsAskedOfThem: if a grant was deleted while one of its
// tokens lives, nobody could tell that the token is revoked.
func TestRowsAreKeptForAsLongAsSomethingIsAskedOfThem(t *testing.T) {
	t.Parallel()
	if keepExpired["grants"] <= limits.MaxAccessTTL || mayLive <= limits.MaxAccessTTL {
		t.Errorf("grants are kept for %s and looked at for %s, and their tokens live for %s", keepExpired["grants"], mayLive, limits.MaxAccessTTL)
	}
	if grants, tokens := mayLive-limits.MaxAccessTTL, keepExpired["revoked_tokens"]; grants < limits.Afterlife || tokens < limits.Afterlife {
		t.Errorf("their revocation is known for %s, and that of tokens for %s, and verifiers may accept them for %s after their expiry", grants, tokens, limits.Afterlife)
	}
	if keepExpired["guesses"] < limits.MaxSignInWindow {
		t.Errorf("guesses are kept for %s, and counted for %s", keepExpired["guesses"], limits.MaxSignInWindow)
	}
	// The row of a session tells whether the grants that were made in it stand.
	if kept := keepExpired["login_sessions"]; kept < sessions.DeviceLife || kept < limits.MaxGrantTTL+mayLive {
		t.Errorf("sessions are kept for %s", kept)
	}
}
