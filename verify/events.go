package verify

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
)

// listener is a reader that calls heard whenever bytes arrive.
type listener struct {
	io.Reader
	heard func()
}

func (l *listener) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n > 0 {
		l.heard()
	}
	return n, err
}

// sent is an event as the server sent it.
type sent struct {
	kind     string
	id       uint64
	numbered bool
	data     []byte
}

// readEvent reads the next event that has data (HTML Living Standard section
// 9.2.6), and calls heartbeat for each comment line. If the id of an event is not a
// number, it returns errLost.
func readEvent(r *bufio.Reader, heartbeat func()) (sent, error) {
	var e sent
	size, hasData := 0, false
	for {
		line, err := readLine(r, maxEvent-size)
		if err != nil {
			return sent{}, err
		}
		size += len(line) + 1
		if len(line) == 0 {
			if hasData {
				return e, nil
			}
			e, size = sent{}, 0
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "":
			size -= len(line) + 1
			heartbeat()
		case "event":
			e.kind = string(value)
		case "data":
			if hasData {
				e.data = append(e.data, '\n')
			}
			e.data = append(e.data, value...)
			hasData = true
		case "id":
			if e.id, err = strconv.ParseUint(string(value), 10, 63); err != nil {
				return sent{}, fmt.Errorf("%w: an id", errLost)
			}
			e.numbered = true
		}
	}
}

// readLine reads a line that ends with LF or CRLF, without its end.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return nil, fmt.Errorf("%w: an event is longer than %d bytes", errLost, maxEvent)
		}
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return nil, err
		}
		return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
	}
}
