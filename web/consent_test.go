package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/clients"
)

// TestAnInventedSessionIsNoFaultOfTheServer: anybody can send the form of the consent page,
// and must not be able to make it look, in the log and the metrics, as if the server failed.
func TestAnInventedSessionIsNoFaultOfTheServer(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://id.test")
	const callback = "https://app.test/cb"
	s.client(clients.Client{ID: "app", Grants: []string{clients.AuthorizationCode}, RedirectURIs: []string{callback}, Scopes: []string{"openid"}})
	request := url.Values{
		"client_id": {"app"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"},
		"code_challenge": {strings.Repeat("a", 43)}, "code_challenge_method": {"S256"},
	}
	a := s.ask(http.MethodPost, pathConsent, url.Values{"request": {request.Encode()}, "session": {"invented"}, "decision": {"allow"}}.Encode())
	if a.status != http.StatusForbidden || strings.Contains(a.body, "invented") {
		t.Errorf("%d %s", a.status, a.body)
	}
	record := s.log.String()
	if !strings.Contains(record, `"error":"session_ended"`) || strings.Contains(record, "server_error") {
		t.Error(record)
	}
}
