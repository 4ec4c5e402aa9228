package admin_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAPlanSaysWhatBecomesDifferent: a plan names the members as files do, with their values.
func TestAPlanSaysWhatBecomesDifferent(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const desired = `{
		"apis": [{"audience": "https://orders.test", "name": "Orders <1>", "scopes": ["read", "write"], "access_ttl": "5m", "roles": true}],
		"clients": [{"client_id": "job", "name": "Job", "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"],
			"audiences": ["https://orders.test"], "scopes": ["read"]}]
	}`
	changes := func(body, query string) (all map[string]any) {
		t.Helper()
		a := h.operator("POST", "/apply"+query, body, nil)
		h.want(a, http.StatusOK, "")
		var plan struct {
			Steps []struct {
				ID      string
				Changes []struct {
					Member       string
					Former, Next any
				}
			}
		}
		if err := json.Unmarshal([]byte(a.text), &plan); err != nil {
			t.Fatal(err)
		}
		all = map[string]any{}
		for _, s := range plan.Steps {
			for _, c := range s.Changes {
				all[s.ID+" "+c.Member] = []any{c.Former, c.Next}
			}
		}
		return all
	}
	if d := cmp.Diff(map[string]any{
		"https://orders.test access_ttl": []any{nil, "5m0s"},
		"https://orders.test name":       []any{nil, "Orders <1>"},
		"https://orders.test roles":      []any{false, true},
		"https://orders.test scopes":     []any{nil, []any{"read", "write"}},
		"job audiences":                  []any{nil, []any{"https://orders.test"}},
		"job grant_types":                []any{nil, []any{"client_credentials"}},
		"job name":                       []any{nil, "Job"},
		"job pkce":                       []any{nil, "required"},
		"job scopes":                     []any{nil, []any{"read"}},
	}, changes(desired, "?dry_run=true")); d != "" {
		t.Error(d)
	}
	if got := changes(desired, ""); len(got) != 9 {
		t.Errorf("%v", got)
	}
	if got := changes(desired, ""); len(got) != 0 {
		t.Errorf("the second time: %v", got)
	}
	other := strings.NewReplacer(`["read", "write"]`, `["read"]`, `"5m"`, `null`, `"Job"`, `"Work"`).Replace(desired)
	if d := cmp.Diff(map[string]any{
		"https://orders.test access_ttl": []any{"5m0s", nil},
		"https://orders.test scopes":     []any{[]any{"read", "write"}, []any{"read"}},
		"job name":                       []any{"Job", "Work"},
	}, changes(other, "")); d != "" {
		t.Error(d)
	}
}
