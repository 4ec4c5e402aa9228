package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
)

// TestTheDocumentationListsTheRoutes checks that the table in docs/endpoints.md has every
// route, and nothing else.
func TestTheDocumentationListsTheRoutes(t *testing.T) {
	t.Parallel()
	const file = "../docs/endpoints.md"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, "| `") {
			documented[strings.TrimSpace(line)] = true
		}
	}
	for _, r := range append(handlers{}.routes(new(authz.Endpoints)), documents(document{})...) {
		row := r.documented()
		if !documented[row] {
			t.Errorf("%s lacks the row\n%s", file, row)
		}
		delete(documented, row)
	}
	for row := range documented {
		t.Errorf("%s has a row for what is no route\n%s", file, row)
	}
}

// documented returns the row of a route in the documentation.
func (r route) documented() string {
	path, sender := strings.TrimSuffix(r.path, "{$}"), string(r.sender)
	if _, signedIn := r.handler.(owned); signedIn {
		sender = strings.TrimPrefix(sender+"; whoever is signed in", "; ")
	}
	about := r.about
	if r.where != belowIssuer {
		about += " (" + string(r.where) + ")"
	}
	row := "|"
	for _, cell := range []string{fmt.Sprintf("`%s %s`", r.method, path), about, string(r.body), sender, string(r.scripts)} {
		row += strings.TrimSuffix(" "+cell, " ") + " |"
	}
	return row
}

func TestTheMetadataHasAllAddressesFromTheTable(t *testing.T) {
	t.Parallel()
	var announced authz.Endpoints
	named := map[*string]bool{}
	for _, r := range (handlers{}).routes(&announced) {
		if r.announced != nil {
			if named[r.announced] {
				t.Errorf("%s is announced where another route is", r.path)
			}
			named[r.announced] = true
		}
	}
	all := reflect.ValueOf(&announced).Elem()
	for i := range all.NumField() {
		if !named[all.Field(i).Addr().Interface().(*string)] {
			t.Errorf("no route is announced as %s", all.Type().Field(i).Name)
		}
	}
}

// TestWhatActsOnACookieIsGuarded: a route that changes something for the user who is signed
// in must say which pages may send the request (CSRF).
func TestWhatActsOnACookieIsGuarded(t *testing.T) {
	t.Parallel()
	for _, r := range table() {
		_, program := r.handler.(endpoint)
		switch {
		case r.method == http.MethodGet:
			if r.sender != anyPage || r.body != noBody {
				t.Errorf("%s: a GET has no body and does nothing", r)
			}
		case !program && r.sender != ownPages && r.sender != ownForms && r.sender != holdersPages, r.scripts == appScripts && r.sender != appsPages:
			t.Errorf("%s: any page may send it", r)
		}
	}
}

// TestAnEndpointForPagesOfThisServerIsGuarded: there is none in the table yet. The first one
// must not be open to pages of other sites just because it answers in JSON.
func TestAnEndpointForPagesOfThisServerIsGuarded(t *testing.T) {
	t.Parallel()
	guard, err := newGuard("https://id.test")
	if err != nil {
		t.Fatal(err)
	}
	rt := router{maxBody: 1, limit: time.Minute, guard: guard}
	mux := rt.mux([]route{{method: http.MethodPost, path: "/x", sender: ownPages, body: jsonBody, handler: endpoint(live)}})
	for origin, status := range map[string]int{"https://id.test": http.StatusOK, evil: http.StatusForbidden, "null": http.StatusForbidden} {
		w, r := httptest.NewRecorder(), posted("application/json", "{}")
		r.URL.Path = "/x"
		r.Header.Set("Origin", origin)
		mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), recordKey{}, &record{})))
		if w.Code != status {
			t.Errorf("from %s: %d %s", origin, w.Code, w.Body)
		}
	}
}
