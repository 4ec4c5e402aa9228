package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// TestAListEndsWithWhoeverReadsIt: if the output can no longer be written, nothing more is
// read from the database.
func TestAListEndsWithWhoeverReadsIt(t *testing.T) {
	t.Parallel()
	database := storagetest.Migrated(t, storagetest.Engines()[0])
	environ := []string{"INGAM_ISSUER=https://id.test", "INGAM_DATABASE=" + database}
	storagetest.Exec(t, database, `
		INSERT INTO grants (id, client_id, user_id, session_id, scopes, audiences, auth_ms, amr, offline, user_epoch, client_epoch, server_epoch,
		                    created_ms, expires_ms, generation, rotated_ms, refresh_iat_ms, refresh_exp_ms, refresh_kid, refresh_version, revoked_why)
		VALUES ('g', 'app', 'u', '', '["openid"]', '["https://api.test"]', 0, '[]', 1, 1000, 1000, 1000,
		        1, 4102444800000, 1, 0, 0, 4102444800000, '', 1, '')`)
	storagetest.DoubleGrants(t, database, 10)
	for _, args := range [][]string{{"grant", "list", "--all"}, {"grant", "list", "--all", "--json"}} {
		gone := &goneReader{}
		var stderr bytes.Buffer
		status := run(t.Context(), args, environ, strings.NewReader(""), gone, &stderr)
		if status != failed || gone.writes != 1 || !strings.Contains(stderr.String(), errGone.Error()) {
			t.Errorf("%s: status %d after %d writes: %s", strings.Join(args, " "), status, gone.writes, stderr.String())
		}
	}
}

var errGone = errors.New("nobody reads this")

// goneReader is an output whose reader is gone. It counts the writes.
type goneReader struct{ writes int }

func (g *goneReader) Write([]byte) (int, error) {
	g.writes++
	return 0, errGone
}
