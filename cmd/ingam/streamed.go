package main

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// streamed is an answer that is read while it is written: an export may have no end that
// fits into memory.
type streamed struct {
	header http.Header
	status int
	to     *io.PipeWriter
	once   sync.Once
	begun  chan struct{}
}

func (w *streamed) Header() http.Header { return w.header }

func (w *streamed) WriteHeader(status int) {
	w.once.Do(func() {
		w.status = status
		close(w.begun)
	})
}

func (w *streamed) Write(b []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.to.Write(b)
}

// stream returns the answer to a request as soon as it begins. Reading it fails if it breaks
// off.
func (in *inside) stream(r *http.Request) *http.Response {
	from, to := io.Pipe()
	w := &streamed{header: http.Header{}, to: to, begun: make(chan struct{})}
	go func() {
		defer func() {
			broken := recover() != nil // http.ErrAbortHandler
			switch {
			case in.fault != nil:
				to.CloseWithError(in.fault)
			case broken:
				to.CloseWithError(errors.New("it broke off"))
			default:
				to.Close()
			}
			w.WriteHeader(http.StatusOK)
		}()
		in.handler.ServeHTTP(w, r)
	}()
	<-w.begun
	return &http.Response{StatusCode: w.status, Header: w.header, Body: from, Request: r}
}
