package admin_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheDocumentIsForEverybody(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, path := range []string{"/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/openapi-3.0.yaml"} {
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, issuer+"/admin/v1"+path, nil))
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "updateClient") {
			t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
		}
	}
	for _, path := range []string{"/docs", "/schemas/Client.json", "/", "/clients", "/none"} {
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, issuer+"/admin/v1"+path, nil))
		if w.Code != http.StatusUnauthorized && w.Code != http.StatusNotFound {
			t.Errorf("%s: %d %.200s", path, w.Code, w.Body)
		}
	}
}
