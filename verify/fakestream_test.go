package verify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
)

// fakeStream is an open status stream.
type fakeStream struct {
	last string
	name string
	// instance distinguishes the process from its replicas.
	instance string
	out      chan string
	cut      chan struct{}
	gone     <-chan struct{}
}

func (f *issuer) events(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(w, r) {
		return
	}
	s := &fakeStream{
		last: r.Header.Get("Last-Event-ID"), name: r.URL.Query().Get("verifier"), instance: r.URL.Query().Get("instance"),
		out: make(chan string, 64), cut: make(chan struct{}), gone: r.Context().Done(),
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	f.streams <- s
	for {
		select {
		case text := <-s.out:
			io.WriteString(w, text)
			w.(http.Flusher).Flush()
		case <-s.cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

func (s *fakeStream) hello(id int, listener string) {
	s.out <- fmt.Sprintf("event: hello\nid: %d\ndata: {\"listener\":%q}\n\n", id, listener)
}

// set says that indices were set. With id 0 the event has no id, because more of the same
// change follows.
func (s *fakeStream) set(id int, uri string, indices ...int) {
	number := ""
	if id != 0 {
		number = fmt.Sprintf("id: %d\n", id)
	}
	data, _ := json.Marshal(map[string]any{"set": []any{map[string]any{"uri": uri, "idx": indices}}})
	s.out <- fmt.Sprintf("event: set\n%sdata: %s\n\n", number, data)
}

func (s *fakeStream) reload(id int) { s.out <- fmt.Sprintf("event: reload\nid: %d\ndata: {}\n\n", id) }

func (s *fakeStream) heartbeat() { s.out <- ":\n\n" }
