package storage

import (
	"testing"

	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/config/limits"
)

// TestRowsAreKeptForAsLongAsSomethingIsAskedOfThem: a grant that was deleted while a token
// of it lives could not be told to be revoked.
func TestRowsAreKeptForAsLongAsSomethingIsAskedOfThem(t *testing.T) {
	t.Parallel()
	if keepExpired["grants"] <= limits.MaxAccessTTL || mayLive <= limits.MaxAccessTTL {
		t.Errorf("grants are kept for %s and looked at for %s, and their tokens live for %s", keepExpired["grants"], mayLive, limits.MaxAccessTTL)
	}
	if keepExpired["guesses"] < limits.MaxSignInWindow {
		t.Errorf("guesses are kept for %s, and counted for %s", keepExpired["guesses"], limits.MaxSignInWindow)
	}
	// A session's row says that the grants stand which were made in it.
	if kept := keepExpired["login_sessions"]; kept < sessions.DeviceLife || kept < limits.MaxGrantTTL+mayLive {
		t.Errorf("sessions are kept for %s", kept)
	}
}
