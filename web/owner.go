package web

import (
	"net/http"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/sessions"
)

// owners admits only requests of a user who is signed in.
type owners struct {
	browsers browsers
	screen   screen
}

// owned is a handler that needs a user who is signed in.
type owned func(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User) error

// only wraps a handler that needs a user who is signed in.
func (o owners) only(h owned) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		session, user, err := o.browsers.session(r)
		if err != nil {
			return err
		}
		if session == nil {
			o.screen.sendTo(w, pathLogin)
			return nil
		}
		if r.Method == http.MethodPost {
			if err := parseForm(r); err != nil {
				return err
			}
		}
		return h(w, r, *session, user)
	}
}
