package admin

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/administration"
)

// Paging is the input of operations that list records. Where it is a part of a larger input
// it must have a name that other packages could see: the library fills in no other.
type Paging struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"How many records the page has at most"`
	Cursor string `query:"cursor" maxLength:"2000" doc:"The next_cursor of the page before; without it, the first page"`
}

// Page is a page of records.
type Page[T any] struct {
	Items []T      `json:"items"`
	Next  string   `json:"next_cursor,omitempty" doc:"The cursor of the next page; absent on the last one"`
	Notes []string `json:"notes,omitempty" doc:"What to mind about the list, on its first page"`
}

type pageAnswer[T any] struct{ Body Page[T] }

// Cursors seals where a page ended, so that nobody can read it, change it or make one.
// *masterkey.Notes does.
type Cursors interface {
	Seal(note, about []byte) (string, error)
	Open(text string, about []byte) (note []byte, ok bool)
}

// about is what a cursor is bound to: the caller and the query. Another caller, or another
// query, cannot use it.
func about(by administration.Caller, query ...string) []byte {
	b, err := json.Marshal(append([]string{string(by.Actor)}, query...))
	if err != nil {
		panic(err) // texts are always JSON
	}
	return b
}

// after opens the cursor of a request. It is nil for the first page.
func (s surface) after(p *Paging, about []byte) ([]byte, error) {
	if p.Cursor == "" {
		return nil, nil
	}
	last, ok := s.parts.Cursors.Open(p.Cursor, about)
	if !ok {
		wrong := newKind(http.StatusUnprocessableEntity, "cursor", "the cursor is none of yours for this query, or is too old: begin with the first page")
		wrong.Errors = []Flaw{{Parameter: "cursor", Detail: wrong.Detail}}
		return nil, wrong
	}
	return last, nil
}

// pageOf cuts a page out of all records of a kind, which are ordered by the key that show
// returns with each.
func pageOf[R, T any](s surface, by administration.Caller, kind string, in *Paging, list []R, show func(R) (key string, shown T)) (*pageAnswer[T], error) {
	bound := about(by, kind)
	last, err := s.after(in, bound)
	if err != nil {
		return nil, err
	}
	if last != nil {
		from, found := slices.BinarySearchFunc(list, string(last), func(r R, key string) int {
			k, _ := show(r)
			return strings.Compare(k, key)
		})
		if found {
			from++
		}
		list = list[from:]
	}
	answer := &pageAnswer[T]{Page[T]{Items: []T{}}}
	for i, r := range list {
		key, shown := show(r)
		answer.Body.Items = append(answer.Body.Items, shown)
		if i+1 == in.Limit {
			if len(list) > in.Limit {
				answer.Body.Next, err = s.parts.Cursors.Seal([]byte(key), bound)
			}
			break
		}
	}
	return answer, err
}

// pageRead makes a page of records that read returns, in order: at most so many of those
// that come after the one with that key, or the first ones without a key. show returns the
// key with each record.
func pageRead[R, T any](s surface, in *Paging, bound []byte, read func(after string, most int) ([]R, error), show func(R) (key string, shown T)) (*pageAnswer[T], error) {
	last, err := s.after(in, bound)
	if err != nil {
		return nil, err
	}
	list, err := read(string(last), in.Limit+1) // one more, to know whether there are more
	if err != nil {
		return nil, err
	}
	answer := &pageAnswer[T]{Page[T]{Items: []T{}}}
	for i, r := range list {
		if i == in.Limit {
			key, _ := show(list[i-1])
			answer.Body.Next, err = s.parts.Cursors.Seal([]byte(key), bound)
			break
		}
		_, shown := show(r)
		answer.Body.Items = append(answer.Body.Items, shown)
	}
	return answer, err
}
