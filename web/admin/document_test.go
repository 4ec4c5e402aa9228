package admin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// described is what the document says of a path: by method, the types of answers by status.
type described map[string]struct {
	Responses map[string]struct {
		Content map[string]any
	}
}

// document is what the document says of paths. It is the same in each house.
var document struct {
	sync.Once
	Paths map[string]described
}

// wantDeclared checks that the document declares an answer to a request, if it is one to an
// operation.
func (h *house) wantDeclared(r *http.Request, status int, contentType string) {
	h.Helper()
	document.Do(func() {
		w := httptest.NewRecorder()
		h.handler.ServeHTTP(w, httptest.NewRequestWithContext(h.Context(), http.MethodGet, issuer+"/admin/v1/openapi.json", nil))
		if err := json.Unmarshal(w.Body.Bytes(), &document); err != nil {
			h.Error(err)
		}
	})
	_, asked, _ := strings.Cut(r.URL.EscapedPath(), "/admin/v1")
	for path, methods := range document.Paths {
		op, is := methods[strings.ToLower(r.Method)]
		if !is || !isAt(path, asked) {
			continue
		}
		declared, is := op.Responses[strconv.Itoa(status)]
		if _, typed := declared.Content[contentType]; !is || typed != (contentType != "") {
			h.Errorf("%s %s answers %d %s, which the document does not declare", r.Method, path, status, contentType)
		}
	}
}

// isAt reports whether a path is one that the document describes as the first.
func isAt(described, path string) bool {
	names, parts := strings.Split(described, "/"), strings.Split(path, "/")
	if len(names) != len(parts) {
		return false
	}
	for i, name := range names {
		if name != parts[i] && (!strings.HasPrefix(name, "{") || parts[i] == "") {
			return false
		}
	}
	return true
}

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

// TestEachOperationIsToldOf: the documentation lists every path and method of the document.
func TestEachOperationIsToldOf(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.operator(http.MethodGet, "/overview", "", nil) // which reads the document
	text, err := os.ReadFile("../../docs/administration.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]int{}
	for row := range strings.Lines(string(text)) {
		cell, _, _ := strings.Cut(strings.TrimPrefix(row, "| "), " | ")
		var methods []string
		fresh := true
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			if strings.HasPrefix(m[1], "/") {
				for _, method := range methods {
					told[method+" "+m[1]]++
				}
				fresh = true
				continue
			}
			if fresh {
				methods, fresh = nil, false
			}
			methods = append(methods, m[1])
		}
	}
	for path, methods := range document.Paths {
		for method := range methods {
			if of := strings.ToUpper(method) + " " + path; told[of] != 1 {
				t.Errorf("%s is in the documentation %d times", of, told[of])
			}
		}
	}
	if len(document.Paths) < 20 {
		t.Errorf("the document has %d paths", len(document.Paths))
	}
}
