package authorization

import (
	"encoding/json"
	"maps"
	"net/url"
	"time"

	"github.com/ingam/ingam/authz/sessions"
)

// Notes seals a note (encrypts and authenticates it), so that it can travel through a
// browser, and opens it again. *masterkey.Notes does. A note opens only with the same about
// with which it was sealed.
type Notes interface {
	Seal(note, about []byte) (string, error)
	Open(text string, about []byte) (note []byte, ok bool)
}

// NoteLife is how long the note of a sign-in is good: if the client asked for a new
// sign-in, and the person comes back to the consent page later than that, they sign in
// once more.
const NoteLife = 10 * time.Minute

// doneParameter is the parameter in which our pages carry the sealed note of a sign-in.
// A value that does not open is ignored: it comes from a client or a stranger.
const doneParameter = "ingam_done"

// done is the note that someone has signed in for a request. prompt and max_age stay in
// the request as the client sent them; the note, and not the time since the sign-in, says
// that they were followed.
type done struct {
	SessionID string `json:"sid"`
	// AuthenticatedMS distinguishes this sign-in from others in the same session.
	AuthenticatedMS int64 `json:"auth_ms"`
}

// SignedInFor returns the parameters of the request together with a note that someone
// has signed in for it.
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

// Onward returns the parameters of the request for the next page, with its note if it
// has one.
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

// about is what a note is bound to: all parameters of the request. So nobody can move
// the note to a request of another client, or to another request of the same client.
func (req *Request) about() []byte { return []byte(req.Query.Encode()) }

// takeDone separates the note from what the client asked for.
func takeDone(query url.Values) (asked url.Values, sealed string) {
	if !query.Has(doneParameter) {
		return query, ""
	}
	asked = maps.Clone(query)
	asked.Del(doneParameter)
	return asked, query.Get(doneParameter)
}

// signedInFor reports whether the latest sign-in of a session was made for this request.
// A note of another session, or of an earlier sign-in, does not count: it may be
// somebody else's.
func (e *Endpoint) signedInFor(req *Request, session *sessions.Session) bool {
	if req.done == "" || session == nil {
		return false
	}
	note, ok := e.notes.Open(req.done, req.about())
	var d done
	return ok && json.Unmarshal(note, &d) == nil && d == done{session.ID, session.AuthenticatedAt.UnixMilli()}
}
