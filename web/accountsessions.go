package web

import (
	"errors"
	"net/http"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
)

// accountSessions ends login sessions of the user who is signed in.
type accountSessions struct {
	account  accountPage
	sessions *sessions.Sessions
}

// post is POST /account/sessions. It ends one session, which must belong to the user
// who asks, or all of them except the present one.
func (s accountSessions) post(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User) error {
	outcome, by := pages.Outcome{Of: pages.SessionMatter, Text: "ended"}, audit.User(user.ID)
	var err error
	if r.PostForm.Get("others") != "" {
		outcome.Count, err = s.sessions.EndOthers(r.Context(), user.ID, session.ID, "ended in the account", by)
		if outcome.Text = "ended others"; outcome.Count == 0 {
			outcome.Text = "ended no others"
		}
	} else if err = s.sessions.End(r.Context(), user.ID, r.PostForm.Get("id"), "ended in the account", by); errors.Is(err, sessions.ErrNotFound) {
		err = nil // it has ended already, as requested
	}
	if err != nil {
		return err
	}
	return s.account.show(w, r, session, user, pages.Account{Outcome: outcome}, http.StatusOK)
}
