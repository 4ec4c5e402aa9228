package load

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Answer is what an answer must be like.
type Answer struct {
	Status int
	// Begins is how its body begins.
	Begins string
}

// Wire is a connection on which requests are sent one after another. It speaks HTTP/1.1,
// and reads only as much of an answer as is needed to find its end and to check it.
type Wire struct {
	to   Target
	conn net.Conn
	in   *bufio.Reader
	// ending says that the server closes the connection after its latest answer, as proxies
	// do after some hundreds of them.
	ending bool
	// closed ends when the wire has been closed. mu is for changing conn.
	closed context.Context
	close  context.CancelFunc
	mu     sync.Mutex
	body   []byte
	// until is the deadline of the connection, and used is when it was used last.
	until, used time.Time
}

// idle is how long a connection may be unused: a server ends one on which it waits for a
// request for too long, and the next request would find that out.
const idle = 5 * time.Second

func newWire(to Target, conn net.Conn) *Wire {
	w := &Wire{to: to, conn: conn, in: bufio.NewReaderSize(conn, 16<<10), used: time.Now()}
	w.closed, w.close = context.WithCancel(context.Background())
	return w
}

// Close closes connections.
func Close(wires []*Wire) {
	for _, w := range wires {
		w.close()
		w.mu.Lock()
		w.conn.Close()
		w.mu.Unlock()
	}
}

// renew opens a connection instead of one that the server has ended.
func (w *Wire) renew() error {
	ctx, cancel := context.WithTimeout(w.closed, patience)
	defer cancel()
	conn, err := w.to.dial(ctx)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn.Close()
	w.conn, w.until, w.ending = conn, time.Time{}, false
	w.in.Reset(conn)
	if err := w.closed.Err(); err != nil { // meanwhile
		conn.Close()
		return err
	}
	return nil
}

// UnexpectedError says that a server did not answer as it should. It has nothing of an
// answer that could be secret.
type UnexpectedError struct {
	Status int
	// Code is the error code of OAuth in the answer; it may be empty.
	Code string
}

func (e *UnexpectedError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the server answers with status %d and not as expected", e.Status)
	}
	return fmt.Sprintf("the server answers with status %d and the error %s", e.Status, e.Code)
}

// Exchange sends a request and returns the body of the answer, which is valid until the
// next one. Another answer than the wanted one is an *UnexpectedError.
func (w *Wire) Exchange(text string, want Answer) ([]byte, error) {
	now := time.Now()
	if w.ending || now.Sub(w.used) > idle {
		if err := w.renew(); err != nil {
			return nil, err
		}
	}
	w.used = now
	// A deadline has its price, so each one is good for many requests.
	if w.until.Sub(now) < patience/2 {
		w.until = now.Add(patience)
		w.conn.SetDeadline(w.until)
	}
	if _, err := io.WriteString(w.conn, text); err != nil {
		return nil, err
	}
	status, length, err := w.head()
	if err != nil {
		return nil, err
	}
	if status == http.StatusNotModified { // it tells the length of what it does not send
		length = 0
	}
	if err := w.readBody(length); err != nil {
		return nil, err
	}
	if status != want.Status || !bytes.HasPrefix(w.body, []byte(want.Begins)) {
		return nil, &UnexpectedError{status, codeIn(w.body)}
	}
	return w.body, nil
}

// chunked is the length of a body that comes in chunks.
const chunked = -1

// head reads an answer up to its body, and returns the length of that.
func (w *Wire) head() (status, length int, err error) {
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if status == 0 {
			if status, err = statusOf(line); err != nil {
				return 0, 0, err
			}
			continue
		}
		if len(line) == 0 {
			return status, length, nil
		}
		if value, ok := field(line, "Content-Length"); ok {
			if length, err = strconv.Atoi(string(value)); err != nil || length < 0 || length > mostBody {
				return 0, 0, errors.New("the answer has no good Content-Length")
			}
		} else if value, ok := field(line, "Transfer-Encoding"); ok && bytes.EqualFold(value, []byte("chunked")) {
			length = chunked
		} else if value, ok := field(line, "Connection"); ok && bytes.EqualFold(value, []byte("close")) {
			w.ending = true
		}
	}
}

// mostBody is the greatest length of a body: that of the greatest status list. With as many
// connections as there may be, a server could otherwise use up the memory of who measures it.
const mostBody = 4 << 20

// statusOf returns the status in the first line of an answer.
func statusOf(line []byte) (int, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 {
		return 0, errors.New("the answer is not of HTTP/1.1")
	}
	return strconv.Atoi(string(rest[:3]))
}

// field returns the value of a header field, if the line is of that one.
func field(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

func (w *Wire) readBody(length int) (err error) {
	if length != chunked {
		if cap(w.body) < length {
			w.body = make([]byte, length)
		}
		w.body = w.body[:length]
		_, err = io.ReadFull(w.in, w.body)
		return err
	}
	// This reader stops before the empty line at the end.
	if w.body, err = io.ReadAll(io.LimitReader(httputil.NewChunkedReader(w.in), mostBody+1)); err != nil {
		return err
	}
	if len(w.body) > mostBody { // what follows would be taken for the next answer
		return errors.New("the answer is too long")
	}
	for {
		line, err := w.in.ReadSlice('\n')
		if err != nil || len(bytes.TrimSpace(line)) == 0 {
			return err
		}
	}
}

// code is what error codes consist of. Other text is not repeated to anybody.
var code = regexp.MustCompile(`^[a-z_]{1,40}$`)

func codeIn(body []byte) string {
	var answer struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || !code.MatchString(answer.Error) {
		return ""
	}
	return answer.Error
}
