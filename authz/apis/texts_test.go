package apis_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/storage/storagetest"
)

func TestATextEndsASentenceAndIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"x", "read your orders", "주문 내역 보기", "see <b>your</b> \"orders\" & 'more' 🔑 ❤️", "לראות הזמנות", strings.Repeat("가", 120)} {
		if err := apis.ValidText(good); err != nil {
			t.Error(err)
		}
	}
	for why, bad := range map[string][]string{
		"1 to 120 characters, this one 0":   {""},
		"1 to 120 characters, this one 121": {strings.Repeat("가", 121)},
		"begins or ends with a space":       {" ", " x", "x ", "x\n", "\u3000x"},
		"invisible character":               {"a\nb", "a\tb", "a\rb", "a\x00b", "a\x1b[31mb", "a\u0085b", "a\u2028b", "a\u202eb", "a\u2066b", "a\u2069b", "a\u200fb", "a\u200bb", "a\ufeffb", "\u3164", "a\uffa0", "\u115fb", "\u2800", "a\u034fb"},
		"not UTF-8":                         {"a\xffb"},
	} {
		for _, text := range bad {
			if err := apis.ValidText(text); err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

// registered returns a catalog with one API, and its Store.
func registered(t *testing.T, a apis.API) (*catalog.Catalog, *storage.Store) {
	t.Helper()
	store := storagetest.New(t, storagetest.Engines()[0])
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	catalog := catalog.New(store, own, time.Now, nil)
	if _, err := catalog.Create(t.Context(), a, "", "test"); err != nil {
		t.Fatal(err)
	}
	return catalog, store
}

func TestAnAPIHasTextsForScopesThatItOffersAlone(t *testing.T) {
	t.Parallel()
	texts := apis.ScopeTexts{"read": {"en": "read it", "ko": "보기"}, "write": {"en": "write it"}}
	catalog, store := registered(t, apis.API{Audience: "a", Name: "A", Scopes: []string{"read", "write"}, ScopeTexts: texts})
	ctx := t.Context()
	for _, bad := range []apis.ScopeTexts{{"other": {"en": "x"}}, {"read": {"en": ""}}, {"read": {"ko": "a\u202eb"}}} {
		if _, err := catalog.Create(ctx, apis.API{Audience: "b", Name: "B", Scopes: []string{"read"}, ScopeTexts: bad}, "", "test"); !errors.Is(err, apis.ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
		edit := func(a *apis.API) error { a.ScopeTexts = bad; return nil }
		if _, _, err := catalog.Update(ctx, "a", edit, "", "test"); !errors.Is(err, apis.ErrInvalid) {
			t.Errorf("%v: %v", bad, err)
		}
	}
	for _, c := range []struct {
		why  string
		edit func(a *apis.API)
		want map[string]string // what is recorded; nil if nothing changes
	}{
		{"nothing new", func(a *apis.API) { a.SetScopeText("read", "en", "read it"); a.SetScopeText("write", "ko", "") }, nil},
		{"one of several", func(a *apis.API) { a.SetScopeText("read", "ko", "읽기") }, map[string]string{
			"changed": "scope_texts", "scope_texts": `read[ko]="읽기"`, "former_scope_texts": `read[ko]="보기"`,
		}},
		{"changed where they are", func(a *apis.API) { a.ScopeTexts["read"]["ko"] = "보기" }, map[string]string{
			"changed": "scope_texts", "scope_texts": `read[ko]="보기"`, "former_scope_texts": `read[ko]="읽기"`,
		}},
		{"the scope goes", func(a *apis.API) { a.Scopes = slices.Delete(a.Scopes, 1, 2) }, map[string]string{
			"changed": "scope scope_texts", "scope": "read", "former_scope": "read write", "scope_texts": "", "former_scope_texts": `write[en]="write it"`,
		}},
		{"the scope comes back", func(a *apis.API) { a.Scopes = []string{"read", "write"} }, map[string]string{
			"changed": "scope", "scope": "read write", "former_scope": "read",
		}},
		{"two that could be one", func(a *apis.API) { a.SetScopeText("read", "en", `x" write[en]="y`) }, map[string]string{
			"changed": "scope_texts", "scope_texts": `read[en]="x\" write[en]=\"y"`, "former_scope_texts": `read[en]="read it"`,
		}},
	} {
		_, changed, err := catalog.Update(ctx, "a", func(a *apis.API) error { c.edit(a); return nil }, "", "test")
		if err != nil || changed != (c.want != nil) {
			t.Fatalf("%s: changed is %v, %v", c.why, changed, err)
		}
		log, err := storagetest.Events(ctx, store, audit.Query{NewestFirst: true})
		if err != nil {
			t.Fatal(err)
		}
		if changed && !maps.Equal(log[0].Details, c.want) {
			t.Errorf("%s: %v", c.why, log[0].Details)
		}
	}
	a, err := catalog.ByAudience(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	if got := a.ScopeText("read"); got["ko"] != "보기" || len(a.ScopeText("write")) > 0 || a.ScopeText("other") != nil {
		t.Errorf("%v", a.ScopeTexts)
	}
	if texts["read"]["ko"] != "보기" || texts["read"]["en"] != "read it" || len(texts["write"]) != 1 {
		t.Errorf("what was given to a creation became %v", texts)
	}
}

func TestTextsThatABinaryOfBeforeLeftAreNotThoseOfAScopeThatComesBack(t *testing.T) {
	t.Parallel()
	catalog, store := registered(t, apis.API{
		Audience: "a", Name: "A", Scopes: []string{"read", "write"}, ScopeTexts: apis.ScopeTexts{"write": {"en": "write it"}},
	})
	ctx := t.Context()
	// An older version removes the scope, and does not know that there are texts.
	err := store.UpdateAPI(ctx, "a", func(a *apis.API) (*audit.Event, error) {
		a.Scopes = []string{"read"}
		return &audit.Event{At: time.Now()}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	a, err := catalog.ByAudience(ctx, "a")
	if err != nil || a.ScopeTexts["write"] == nil || a.ScopeText("write") != nil {
		t.Errorf("%v, %v", a, err)
	}
	a, _, err = catalog.Update(ctx, "a", func(a *apis.API) error { a.Scopes = []string{"read", "write"}; return nil }, "", "test")
	stored, err2 := catalog.ByAudience(ctx, "a")
	if err := errors.Join(err, err2); err != nil || len(a.ScopeTexts)+len(stored.ScopeTexts) > 0 {
		t.Errorf("%v, %v, %v", a, stored, err)
	}
}

func TestOfEditorsAtOnceNoneLosesATextOfAnother(t *testing.T) {
	t.Parallel()
	scopes := strings.Fields("a b c d e f g h")
	catalog, _ := registered(t, apis.API{Audience: "a", Name: "A", Scopes: scopes})
	var all sync.WaitGroup
	for i, scope := range scopes {
		for _, language := range []string{"en", "ko"} {
			all.Go(func() {
				_, _, err := catalog.Update(t.Context(), "a", func(a *apis.API) error {
					a.SetScopeText(scope, language, fmt.Sprint(language, i))
					return nil
				}, "", "test")
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	all.Wait()
	want := apis.ScopeTexts{}
	for i, scope := range scopes {
		want[scope] = map[string]string{"en": fmt.Sprint("en", i), "ko": fmt.Sprint("ko", i)}
	}
	a, err := catalog.ByAudience(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, a.ScopeTexts, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
}
