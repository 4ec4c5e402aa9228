package apis

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// ScopeTexts say in words what scopes allow, by scope and language (BCP 47). Each is
// the end of "the application would like to …". Those of languages that this binary
// does not know are kept.
type ScopeTexts map[string]map[string]string

// ScopeText returns by language what a scope of the API allows; nothing if nobody
// said it, or the API does not offer the scope (any more).
func (a API) ScopeText(scope string) map[string]string {
	if !slices.Contains(a.Scopes, scope) {
		return nil
	}
	return a.ScopeTexts[scope]
}

// SetScopeText says what a scope allows in a language; an empty text takes away what
// was said. What had the same ScopeTexts before is left alone.
func (a *API) SetScopeText(scope, language, text string) {
	texts := a.ScopeTexts.Clone()
	if texts[scope] == nil {
		texts[scope] = map[string]string{}
	}
	texts[scope][language] = text
	if text == "" {
		delete(texts[scope], language)
	}
	if len(texts[scope]) == 0 {
		delete(texts, scope)
	}
	a.ScopeTexts = texts
}

// LoseTexts takes away the texts of the scopes that the API offers no longer, as
// they were. What an editor says of such a scope is left, to be refused.
func (a *API) LoseTexts(were ScopeTexts) {
	a.ScopeTexts = a.ScopeTexts.Clone()
	maps.DeleteFunc(a.ScopeTexts, func(scope string, texts map[string]string) bool {
		return !slices.Contains(a.Scopes, scope) && maps.Equal(texts, were[scope])
	})
}

// Clone returns a copy that shares nothing.
func (t ScopeTexts) Clone() ScopeTexts {
	texts := ScopeTexts{}
	for scope := range t {
		texts[scope] = maps.Clone(t[scope])
	}
	return texts
}

// Without returns those that others do not have just so.
func (t ScopeTexts) Without(others ScopeTexts) ScopeTexts {
	texts := t.Clone()
	for scope := range texts {
		maps.DeleteFunc(texts[scope], func(language, text string) bool { return others[scope][language] == text })
	}
	return texts
}

// Of returns those of some scopes.
func (t ScopeTexts) Of(scopes []string) ScopeTexts {
	texts := t.Clone()
	maps.DeleteFunc(texts, func(scope string, _ map[string]string) bool { return !slices.Contains(scopes, scope) })
	return texts
}

// String is how the audit records them, such as read[en]="read your orders". No two
// that differ are written alike: a scope has no quotation mark, and a text's are
// escaped.
func (t ScopeTexts) String() string {
	var all []string
	for _, scope := range slices.Sorted(maps.Keys(t)) {
		for _, language := range slices.Sorted(maps.Keys(t[scope])) {
			all = append(all, fmt.Sprintf("%s[%s]=%q", scope, language, t[scope][language]))
		}
	}
	return strings.Join(all, " ")
}

// languageTag is the form of a language's tag, as far as it matters here.
var languageTag = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,8}$`)

// validTexts checks the texts of one scope.
func validTexts(scope string, texts map[string]string) error {
	for _, language := range slices.Sorted(maps.Keys(texts)) {
		err := validText(texts[language])
		if err == nil && !languageTag.MatchString(language) {
			err = fmt.Errorf("%q is no language (BCP 47)", language)
		}
		if err != nil {
			return at(fmt.Errorf("the text of the scope %s (%s): %w", scope, language, err), language)
		}
	}
	return nil
}
