package web

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/web/pages"
	"github.com/ingam/ingam/web/pages/texts"
)

// accountPage shows people their account: their login sessions, the apps that have
// access, and their password.
type accountPage struct {
	connected *authz.Connected
	sessions  *sessions.Sessions
	screen    screen
	wording   wording
	// origin is the web origin of the issuer.
	origin string
}

// get is GET /account.
func (p accountPage) get(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User) error {
	return p.show(w, r, session, user, pages.Account{}, http.StatusOK)
}

// matter serves GET of the page for one part of the account.
func (p accountPage) matter(m pages.Matter) owned {
	return func(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User) error {
		return p.show(w, r, session, user, pages.Account{Matter: m}, http.StatusOK)
	}
}

// How many entries of a part are shown: on the page of the whole account, and on its
// own page.
const (
	someOfMatter = 5
	mostOfMatter = 200
)

// matterOf returns the part of the account whose page sent a form. The result of the
// form is shown on the same page.
func matterOf(r *http.Request) pages.Matter {
	switch m := pages.Matter(r.PostForm.Get("matter")); m {
	case pages.SessionMatter, pages.AppMatter, pages.PasswordMatter:
		return m
	}
	return pages.EveryMatter
}

// show writes a page of the account. The caller has set what became of a form; show
// adds the rest.
func (p accountPage) show(w http.ResponseWriter, r *http.Request, session sessions.Session, user accounts.User, page pages.Account, status int) error {
	if r.Method == http.MethodPost {
		page.Matter = matterOf(r)
	}
	text, most := p.screen.text(r, ""), someOfMatter
	at := place{here: pathAccount}
	if page.Matter != pages.EveryMatter {
		most, at.here = mostOfMatter, pathAccount+"/"+string(page.Matter)
	}
	if err := p.fill(r.Context(), text, session, user, &page, most); err != nil {
		return err
	}
	page.Shortest, page.Longest = passwords.MinLength, passwords.MaxLength
	p.screen.show(w, r, at, status, page)
	return nil
}

func (p accountPage) fill(ctx context.Context, text texts.Text, session sessions.Session, user accounts.User, page *pages.Account, most int) error {
	page.Person = p.personOf(user)
	sessions, count, err := p.sessions.Of(ctx, user.ID, session.ID, most)
	if err != nil {
		return err
	}
	connected, err := p.connected.Of(ctx, user.ID)
	if err != nil {
		return err
	}
	// The app that was used last comes first, since that is probably what the person
	// looks for.
	slices.SortStableFunc(connected, func(a, b consents.Connection) int { return b.LastUsed.Compare(a.LastUsed) })
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
		said, err := p.wording.say(ctx, text, c.Permissions, user)
		if err != nil {
			return err
		}
		page.Apps = append(page.Apps, pages.App{
			ID: c.ClientID, Name: c.Name, Home: c.Home, Since: c.Since, LastUsed: c.LastUsed, Disabled: c.Disabled, Permissions: said,
		})
	}
	return nil
}

// personOf returns a user as they see themselves. A picture is shown only from this
// server's own origin: another server would learn when its user looks at this page.
func (p accountPage) personOf(user accounts.User) pages.Person {
	shown := pages.Person{Name: user.Name(), Username: user.Username, Email: user.Email}
	if picture := user.Picture(); strings.HasPrefix(picture, p.origin+"/") {
		shown.Picture = picture
	}
	if first, _ := utf8.DecodeRuneInString(shown.Name); unicode.IsPrint(first) {
		shown.Initial = string(unicode.ToUpper(first))
	}
	return shown
}

// browserOf shortens a User-Agent to the name by which a person knows their browser.
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
