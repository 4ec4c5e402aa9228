package web

import (
	"net/http"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
)

// accountApps withdraws a user's consent to an app, and revokes the app's grants.
type accountApps struct {
	account  accountPage
	consents *consents.Consents
}

// post is POST /account/apps.
func (a accountApps) post(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User) error {
	if err := a.consents.TakeBack(r.Context(), user.ID, r.PostForm.Get("client")); err != nil {
		return err
	}
	return a.account.show(w, r, session, user, pages.Account{Outcome: pages.Outcome{Of: pages.AppMatter, Text: "disconnected"}}, http.StatusOK)
}
