package web

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/protocol"
)

// document is an answer whose body never changes while the process runs.
type document struct {
	body        []byte
	contentType string
}

func (d document) get(w http.ResponseWriter, _ *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", d.contentType)
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("Content-Length", strconv.Itoa(len(d.body)))
	w.Write(d.body)
	return nil
}

// KeySet returns the published keys; *keys.Keyring implements it.
type KeySet interface {
	// JWKS returns the key set (RFC 7517 section 5) and its entity tag.
	JWKS() (body []byte, etag string)
}

// Freshness returns for how long it has been unknown whether the records in memory are
// current; zero or less means that they may be used. *changes.Watcher implements it.
type Freshness interface {
	Behind() time.Duration
}

// jwks serves the key set from memory.
type jwks struct {
	keys    KeySet
	watcher Freshness
	maxAge  time.Duration
}

// get answers even while the database is away, because resource servers check tokens
// without it. For as long as this process cannot know whether the keys are current,
// that time is subtracted from the answer's max-age. So a key that was withdrawn
// elsewhere disappears from every cache within the same bound, whatever this process
// can reach.
func (j jwks) get(w http.ResponseWriter, r *http.Request) error {
	maxAge := j.maxAge
	if behind := j.watcher.Behind(); behind > 0 {
		maxAge -= behind
	}
	if maxAge < time.Second {
		return protocol.Refuse(protocol.TemporarilyUnavailable, "The key set could not be refreshed for too long.")
	}
	body, etag := j.keys.JWKS()
	h := w.Header()
	h.Set("Content-Type", typeJSON)
	h.Set("Cache-Control", "public, max-age="+strconv.Itoa(int(maxAge/time.Second)))
	h.Set("ETag", etag)
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.Write(body)
	return nil
}

// matches compares as RFC 9110 section 13.1.2 has it: weakly, any of a list.
func matches(ifNoneMatch, etag string) bool {
	for candidate := range strings.SplitSeq(ifNoneMatch, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == etag {
			return true
		}
	}
	return false
}
