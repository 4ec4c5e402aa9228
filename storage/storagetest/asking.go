package storagetest

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Asked is a Recorder in another process than the test: it asks the test's own Recorder
// about each statement, and can ask the test for the time.
type Asked struct {
	Recorder
	client *http.Client
}

// Asking returns an Asked that uses a socket of Answer.
func Asking(socket string) *Asked {
	a := &Asked{client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}}
	about := func(path string) func(string) error {
		return func(statement string) error {
			said, err := a.ask(path, statement)
			if err == nil && said != "" {
				err = errors.New(said)
			}
			return err
		}
	}
	a.FailWith(about("/before"))
	a.FailAfter(about("/after"))
	return a
}

// Now returns the time of the test's clock.
func (a *Asked) Now() time.Time {
	said, err := a.ask("/now", "")
	if err != nil {
		return time.Now() // the test has ended
	}
	var now time.Time
	if err := json.Unmarshal([]byte(said), &now); err != nil {
		panic(err)
	}
	return now
}

func (a *Asked) ask(path, about string) (string, error) {
	answer, err := a.client.Post("http://test"+path, "text/plain", strings.NewReader(about))
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	return string(said), err
}

// Answer lets another process use a Recorder and a clock of the test until the test
// ends. It returns the socket for Asking.
func Answer(t testing.TB, r *Recorder, now func() time.Time) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "asks")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	say := func(w http.ResponseWriter, err error) {
		if err != nil {
			io.WriteString(w, err.Error())
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/before", func(w http.ResponseWriter, req *http.Request) {
		statement, _ := io.ReadAll(req.Body)
		say(w, r.note(context.Background(), string(statement)))
	})
	mux.HandleFunc("/after", func(w http.ResponseWriter, req *http.Request) {
		statement, _ := io.ReadAll(req.Body)
		say(w, r.ran(context.Background(), string(statement)))
	})
	mux.HandleFunc("/now", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(now()) })
	server := &http.Server{Handler: mux}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return socket
}
