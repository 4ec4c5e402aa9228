package authorization_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/clients"
)

// TestAChallengeKeepsNoProofOfWhoSentIt: a challenge keeps the parameters of the request,
// but no passwords and other secrets.
func TestAChallengeKeepsNoProofOfWhoSentIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	asked := url.Values{
		"client_id": {"app"}, "scope": {"read"}, "nonce": {"n"}, "code_challenge": {strings.Repeat("c", 43)}, "code_challenge_method": {"S256"},
	}
	sent := url.Values{
		"username": {"minji"}, "password": {"secret-password"}, "auth_session": {"secret-device"}, "address": {"192.0.2.1"}, "client_secret": {"secret-of-the-app"},
	}
	for name, values := range asked {
		sent[name] = values
	}
	client := h.client(clients.Client{ID: "app", Grants: []string{clients.SignIn}, Hold: clients.HoldMemory, FirstParty: true})
	req, err := h.endpoint.Challenge(t.Context(), client, sent)
	if err != nil {
		t.Fatal(err)
	}
	if req.Query.Encode() != asked.Encode() || strings.Contains(fmt.Sprintf("%+v", req), "secret-") {
		t.Errorf("%+v", req)
	}
	if sent.Get("password") == "" {
		t.Error("the form lost the password before it was checked")
	}
}
