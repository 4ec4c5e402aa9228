package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/keys"
)

// TestAnAPIGetsWhatTheTokenSaysAsItAsksForIt: as JSON, or as a JWT that anyone can verify by
// the published keys.
func TestAnAPIGetsWhatTheTokenSaysAsItAsksForIt(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	if _, err := s.catalog.Create(t.Context(), apis.API{Audience: "https://api.test", Name: "API", Scopes: []string{"read"}}, "", "system"); err != nil {
		t.Fatal(err)
	}
	job := basic("job", s.client(clients.Client{ID: "job", Grants: []string{clients.ClientCredentials}, Scopes: []string{"read"}, Audiences: []string{"https://api.test"}}))
	api := basic("orders", s.client(clients.Client{ID: "orders", Introspects: []string{"https://api.test"}}))
	other := basic("other", s.client(clients.Client{ID: "other", Grants: []string{clients.ClientCredentials}, Scopes: []string{"read"}, Audiences: []string{"https://api.test"}}))
	var issued struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(s.ask(http.MethodPost, PathToken, "grant_type=client_credentials", "Authorization", job).body), &issued); err != nil {
		t.Fatal(err)
	}
	published, err := keys.ParseJWKS([]byte(s.ask(http.MethodGet, PathJWKS, "").body))
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"token": {issued.AccessToken}}.Encode()
	inactive := map[string]any{"active": false}
	for what, c := range map[string]struct {
		caller, id, form string
		accept           []string
		jwt, active      bool
	}{
		"the API":                    {api, "orders", form, nil, false, true},
		"the API, by browser":        {api, "orders", form, []string{"*/*"}, false, true},
		"the API, as JWT":            {api, "orders", form, []string{typeIntrospection}, true, true},
		"the API, as either":         {api, "orders", form, []string{"application/json;q=0.5", typeIntrospection}, true, true},
		"the API, better as JSON":    {api, "orders", form, []string{typeIntrospection + ";q=0.5, application/json"}, false, true},
		"its client, as JWT":         {job, "job", form, []string{typeIntrospection}, true, true},
		"who may ask for tokens":     {other, "other", form, nil, false, false},
		"that, as JWT":               {other, "other", form, []string{typeIntrospection}, true, false},
		"a token that is none":       {api, "orders", "token=x", nil, false, false},
		"a token that is no, as JWT": {api, "orders", "token=x", []string{typeIntrospection}, true, false},
	} {
		fields := []string{"Authorization", c.caller}
		for _, accept := range c.accept {
			fields = append(fields, "Accept", accept)
		}
		a := s.ask(http.MethodPost, pathIntrospect, c.form, fields...)
		want, said := "application/json", []byte(a.body)
		if c.jwt {
			want = "application/token-introspection+jwt"
			verified, err := published.Verify(a.body, "token-introspection+jwt")
			if err != nil {
				t.Errorf("%s: %v in %s", what, err, a.body)
			}
			var claims map[string]json.RawMessage
			if err := json.Unmarshal(verified.Payload, &claims); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if string(claims["iss"]) != `"https://auth.acme.test"` || string(claims["aud"]) != `"`+c.id+`"` || claims["iat"] == nil || len(claims) != 4 {
				t.Errorf("%s: %s", what, verified.Payload)
			}
			said = claims["token_introspection"]
			if _, err := published.Verify(a.body, "at+jwt"); err == nil {
				t.Errorf("%s: it passes for an access token", what)
			}
		}
		if a.status != http.StatusOK || a.header.Get("Content-Type") != want || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", what, a.status, a.header)
		}
		var answer map[string]any
		if err := json.Unmarshal(said, &answer); err != nil {
			t.Fatalf("%s: %v in %s", what, err, said)
		}
		if !c.active {
			if diff := cmp.Diff(inactive, answer); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
		} else if answer["active"] != true || answer["scope"] != "read" || answer["client_id"] != "job" || answer["sub"] != "job" || answer["exp"] == nil {
			t.Errorf("%s: %v", what, answer)
		}
	}
	// What is refused is refused in JSON, whatever was asked for.
	for what, c := range map[string]struct {
		fields []string
		form   string
		status int
		code   string
	}{
		"a wrong secret":             {[]string{"Authorization", basic("orders", "wrong")}, form, http.StatusUnauthorized, "invalid_client"},
		"no token":                   {[]string{"Authorization", api}, "", http.StatusBadRequest, "invalid_request"},
		"two tokens":                 {[]string{"Authorization", api}, form + "&" + form, http.StatusBadRequest, "invalid_request"},
		"two tokens, one of them no": {[]string{"Authorization", api}, form + "&token=", http.StatusBadRequest, "invalid_request"},
		"two hints":                  {[]string{"Authorization", api}, form + "&token_type_hint=a&token_type_hint=b", http.StatusBadRequest, "invalid_request"},
		"two callers":                {[]string{"Authorization", api, "Authorization", api}, form, http.StatusBadRequest, "invalid_request"},
	} {
		a := s.ask(http.MethodPost, pathIntrospect, c.form, append(c.fields, "Accept", typeIntrospection)...)
		if a.status != c.status || !strings.Contains(a.body, `"error":"`+c.code+`"`) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %d %v %s", what, a.status, a.header, a.body)
		}
	}
	var metadata map[string]any
	if err := json.Unmarshal([]byte(s.ask(http.MethodGet, pathOAuth, "").body), &metadata); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"RS256"}, metadata["introspection_signing_alg_values_supported"]); diff != "" {
		t.Error(diff)
	}
	for name := range metadata {
		if strings.HasPrefix(name, "introspection_encryption") {
			t.Errorf("%s is announced", name)
		}
	}
}

// TestOnlyAnAPIListens: to be told that trying again is of no use, the status is 403.
func TestOnlyAnAPIListens(t *testing.T) {
	t.Parallel()
	s := newServer(t, "https://auth.acme.test")
	job := basic("job", s.client(clients.Client{ID: "job", Grants: []string{clients.ClientCredentials}}))
	for what, a := range map[string]answer{
		"listening":     s.ask(http.MethodGet, pathStatusEvents+"?verifier=v", "", "Authorization", job),
		"acknowledging": s.ask(http.MethodPost, pathStatusAck, "listener=x&id=1", "Authorization", job),
	} {
		if a.status != http.StatusForbidden || !strings.Contains(a.body, `"error":"unauthorized_client"`) {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
}
