package authorization

import (
	"encoding/json"
	"maps"
	"net/url"
	"time"

	"github.com/ingam/ingam/authz/sessions"
)

// Notes seals what a request brings along from page to page; *keys.Notes does.
type Notes interface {
	Seal(note, about []byte) (string, error)
	Open(text string, about []byte) (note []byte, ok bool)
}

// NoteLife is for how long what was done for an authorization request stays done:
// whoever comes back to the consent page later signs in again, if the client asked
// for that.
const NoteLife = 10 * time.Minute

// doneParameter is where an authorization request brings along, sealed, what is
// done for it by now. It is this server's own: a client that sends it, or anyone
// who has none that opens, has sent nothing.
const doneParameter = "ingam_done"

// done says that someone signed in for a request. What the client asked for stays
// in the request as it is; whether that is done follows from this, and not from
// how long ago it was.
type done struct {
	SessionID string `json:"sid"`
	// AuthenticatedMS tells this sign-in from the others of the session.
	AuthenticatedMS int64 `json:"auth_ms"`
}

// SignedInFor returns the request as it goes on once someone has signed in for it.
func (e *Endpoint) SignedInFor(req *Request, session sessions.Session) (url.Values, error) {
	note, err := json.Marshal(done{session.ID, session.AuthenticatedAt.UnixMilli()})
	if err != nil {
		return nil, err
	}
	sealed, err := e.notes.Seal(note, req.about())
	if err != nil {
		return nil, err
	}
	return req.with(sealed), nil
}

// Onward is the request as it goes on from one page to the next.
func (req *Request) Onward() url.Values {
	if req.done == "" {
		return req.Query
	}
	return req.with(req.done)
}

func (req *Request) with(sealed string) url.Values {
	query := maps.Clone(req.Query)
	query.Set(doneParameter, sealed)
	return query
}

// about is what a note is bound to: all that was asked, so that nobody can carry
// it over to another client's request, or to another of the same client.
func (req *Request) about() []byte { return []byte(req.Query.Encode()) }

// takeDone takes what is this server's own out of a request.
func takeDone(query url.Values) (asked url.Values, sealed string) {
	if !query.Has(doneParameter) {
		return query, ""
	}
	asked = maps.Clone(query)
	asked.Del(doneParameter)
	return asked, query.Get(doneParameter)
}

// signedInFor reports whether a session's sign-in was made for a request. One that
// was made in another session, or by another sign-in, is somebody else's.
func (e *Endpoint) signedInFor(req *Request, session *sessions.Session) bool {
	if req.done == "" || session == nil {
		return false
	}
	note, ok := e.notes.Open(req.done, req.about())
	var d done
	return ok && json.Unmarshal(note, &d) == nil && d == done{session.ID, session.AuthenticatedAt.UnixMilli()}
}
