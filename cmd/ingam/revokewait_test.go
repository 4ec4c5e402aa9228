package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ingam/ingam/storage/storagetest"
)

// TestWhoeverWaitsIsToldWhichAPIsHaveNotAppliedIt: those that the listening client is, and
// not those for which it may ask for tokens.
func TestWhoeverWaitsIsToldWhichAPIsHaveNotAppliedIt(t *testing.T) {
	t.Parallel()
	database := storagetest.Migrated(t, storagetest.Engines()[0])
	var stderr bytes.Buffer
	ingam := func(args string) int {
		stderr.Reset()
		var stdout bytes.Buffer
		environ := []string{"INGAM_ISSUER=https://id.test", "INGAM_DATABASE=" + database, "INGAM_CHANGES_STALENESS=500ms"}
		return run(t.Context(), strings.Fields(args), environ, strings.NewReader(""), &stdout, &stderr)
	}
	for _, args := range []string{
		"api create --audience https://orders.test --name Orders --scope read",
		"api create --audience https://stock.test --name Stock --scope read",
		"client create --id orders --name Orders --grant client_credentials --scope read --audience https://stock.test --introspects https://orders.test --auth client_secret_basic",
	} {
		if status := ingam(args); status != done {
			t.Fatalf("%s: %d %s", args, status, &stderr)
		}
	}
	storagetest.Exec(t, database, "INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) VALUES ('orders', 'one/x', 'x', 4102444800000, 4102444800000, 0)")
	if status := ingam("revoke --client orders --wait=10ms"); status != failed || !strings.Contains(stderr.String(), "one of client orders (https://orders.test): ") {
		t.Errorf("%d: %s", status, &stderr)
	}
}
