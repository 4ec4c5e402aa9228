package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/web/pages"
)

// owner wraps what is for whoever is signed in.
func (p people) owner(h func(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		session, user, err := p.session(r)
		if err != nil {
			return err
		}
		if session == nil {
			p.sendTo(w, pathLogin)
			return nil
		}
		if r.Method == http.MethodPost {
			if err := p.forms.parse(w, r); err != nil {
				return err
			}
		}
		return h(w, r, *session, user)
	}
}

// The paths of the matters of an account.
const (
	pathSessions = pathAccount + "/sessions"
	pathApps     = pathAccount + "/apps"
	pathPassword = pathAccount + "/password"
)

// account is GET /account.
func (p people) account(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
	return p.showAccount(w, r, session, user, pages.Account{}, http.StatusOK)
}

// matter is GET of one matter of the account.
func (p people) matter(m pages.Matter) page {
	return p.owner(func(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
		return p.showAccount(w, r, session, user, pages.Account{Matter: m}, http.StatusOK)
	})
}

// How much of a matter there is on a page: of several, and by itself.
const (
	someOfMatter = 5
	mostOfMatter = 200
)

// matterOf is the matter of the page that a form was sent from: what became of it is
// shown there.
func matterOf(r *http.Request) pages.Matter {
	switch m := pages.Matter(r.PostForm.Get("matter")); m {
	case pages.SessionMatter, pages.AppMatter, pages.PasswordMatter:
		return m
	}
	return pages.EveryMatter
}

// showAccount fills in what the page is about beside what became of a form.
func (p people) showAccount(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User, page pages.Account, status int) error {
	if r.Method == http.MethodPost {
		page.Matter = matterOf(r)
	}
	text, most := p.text(r, ""), someOfMatter
	at := place{here: pathAccount}
	if page.Matter != pages.EveryMatter {
		most, at.here = mostOfMatter, pathAccount+"/"+string(page.Matter)
	}
	if err := p.fillAccount(r.Context(), text, session, user, &page, most); err != nil {
		return err
	}
	page.Shortest, page.Longest = accounts.MinPassword, accounts.MaxPassword
	p.show(w, r, at, status, page)
	return nil
}

func (p people) fillAccount(ctx context.Context, text pages.Text, session accounts.Session, user accounts.User, page *pages.Account, most int) error {
	page.Person = p.personOf(user)
	sessions, count, err := p.sessions.Of(ctx, user.ID, session.ID, most)
	if err != nil {
		return err
	}
	connected, err := p.authority.Connected(ctx, user.ID)
	if err != nil {
		return err
	}
	// What was used last is what one looks for.
	slices.SortStableFunc(connected, func(a, b authz.Connection) int { return b.LastUsed.Compare(a.LastUsed) })
	page.SessionCount, page.AppCount = count, len(connected)
	for _, s := range sessions {
		shown := pages.Session{
			ID: s.ID, Browser: cmp.Or(browserOf(s.UserAgent), text.T("some browser")), Address: s.Address, Since: s.CreatedAt, Seen: s.SeenAt, Here: s.ID == session.ID,
		}
		for _, c := range connected {
			if c.ClientID == s.ClientID {
				shown.App = c.Name
			}
		}
		page.Sessions = append(page.Sessions, shown)
	}
	for _, c := range connected[:min(len(connected), most)] {
		said, err := p.say(ctx, text, c.Permissions, user)
		if err != nil {
			return err
		}
		page.Apps = append(page.Apps, pages.App{
			ID: c.ClientID, Name: c.Name, Home: c.Home, Since: c.Since, LastUsed: c.LastUsed, Disabled: c.Disabled, Permissions: said,
		})
	}
	return nil
}

// personOf is how a user is shown to themselves. A picture is one of this origin:
// one of elsewhere would tell its server when this page is looked at.
func (p people) personOf(user accounts.User) pages.Person {
	shown := pages.Person{Name: user.Name(), Username: user.Username, Email: user.Email}
	if picture := user.Picture(); strings.HasPrefix(picture, p.origin+"/") {
		shown.Picture = picture
	}
	if first, _ := utf8.DecodeRuneInString(shown.Name); unicode.IsPrint(first) {
		shown.Initial = string(unicode.ToUpper(first))
	}
	return shown
}

// browserOf shortens a User-Agent to what a person knows their browser by.
func browserOf(userAgent string) string {
	system := ""
	for _, s := range []string{"Android", "iPhone", "iPad", "Windows", "Mac OS", "Linux"} {
		if strings.Contains(userAgent, s) {
			system = " · " + s
			break
		}
	}
	for _, b := range [][2]string{{"Edg/", "Edge"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}} {
		if strings.Contains(userAgent, b[0]) {
			return b[1] + system
		}
	}
	return strings.TrimPrefix(userAgent[:min(len(userAgent), 40)]+system, " · ")
}

// endOther is POST /account/sessions: one of the user's own, whoever asks; or all
// but this one.
func (p people) endOther(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
	outcome, by := pages.Outcome{Of: pages.SessionMatter, Text: "ended"}, audit.Actor("user:"+user.ID)
	var err error
	if r.PostForm.Get("others") != "" {
		outcome.Count, err = p.sessions.EndOthers(r.Context(), user.ID, session.ID, "ended in the account", by)
		if outcome.Text = "ended others"; outcome.Count == 0 {
			outcome.Text = "ended no others"
		}
	} else if err = p.sessions.End(r.Context(), user.ID, r.PostForm.Get("id"), "ended in the account", by); errors.Is(err, accounts.ErrNoSession) {
		err = nil // it has ended, which is what was asked for
	}
	if err != nil {
		return err
	}
	return p.showAccount(w, r, session, user, pages.Account{Outcome: outcome}, http.StatusOK)
}

// disconnect is POST /account/apps.
func (p people) disconnect(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
	if err := p.authority.Consents.TakeBack(r.Context(), user.ID, r.PostForm.Get("client")); err != nil {
		return err
	}
	return p.showAccount(w, r, session, user, pages.Account{Outcome: pages.Outcome{Of: pages.AppMatter, Text: "disconnected"}}, http.StatusOK)
}

// changePassword is POST /account/password.
func (p people) changePassword(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
	ctx := r.Context()
	outcome := func(text pages.TextName, field string, wait time.Duration) pages.Account {
		return pages.Account{Outcome: pages.Outcome{Of: pages.PasswordMatter, Text: text, Field: field, Wait: wait}}
	}
	in, err := p.signIn.Change(ctx, user, r.PostForm.Get("current"), r.PostForm.Get("new"), "changed in the account", p.cookies.visitor(r))
	var tooMany *accounts.TooManyError
	rec := recordOf(r)
	rec.refusedSignIn(err)
	switch {
	case errors.As(err, &tooMany):
		retryAfter(w.Header(), tooMany.RetryAfter)
		return p.showAccount(w, r, session, user, outcome("too many", "current", tooMany.RetryAfter), http.StatusTooManyRequests)
	case errors.Is(err, accounts.ErrCrowded):
		retryAfter(w.Header(), accounts.CrowdedFor)
		return p.showAccount(w, r, session, user, outcome("crowded", "current", accounts.CrowdedFor), http.StatusServiceUnavailable)
	case errors.Is(err, accounts.ErrWrong):
		return p.showAccount(w, r, session, user, outcome("current wrong", "current", 0), http.StatusUnprocessableEntity)
	case errors.Is(err, accounts.ErrInvalid):
		rec.errorCode, rec.err = "new_password_refused", err
		return p.showAccount(w, r, session, user, outcome(refused(err), "new", 0), http.StatusUnprocessableEntity)
	case errors.Is(err, accounts.ErrNoSession):
		// Changed all the same; the person signs in with it.
		rec.errorCode, rec.err = "session_ended", err
		p.cookies.set(w, p.cookies.session, "", -time.Second)
		return p.showLogin(w, r, nil, pages.Login{Username: user.Username}, http.StatusOK)
	case err != nil:
		return err
	}
	p.cookies.signedIn(w, in)
	found, user, err := p.sessions.Find(ctx, in.Secret)
	if err != nil {
		return err
	}
	return p.showAccount(w, r, found, user, outcome("password changed", "", 0), http.StatusOK)
}

// refused says why a new password will not do.
func refused(err error) pages.TextName {
	switch {
	case errors.Is(err, accounts.ErrPasswordLength):
		return "password length"
	case errors.Is(err, accounts.ErrPasswordName):
		return "password is name"
	case errors.Is(err, accounts.ErrPasswordGuessed):
		return "password guessed"
	}
	return "password typed"
}
