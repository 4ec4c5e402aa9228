package web

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/web/pages"
)

// people is what browsers with a person in front of them are shown.
type people struct {
	authority *authz.Authority
	sessions  *accounts.Sessions
	signIn    *accounts.SignIn
	forms     forms
	cookies   cookies
	// guard refuses what a page of another site sends.
	guard *http.CrossOriginProtection
	// origin is the issuer's, and base its path.
	origin, base string
	pages        *pages.Pages
	// apps are the web origins of the clients.
	apps *origins
	// grantLife is how long a grant lasts at most.
	grantLife time.Duration
}

// cookies are one of the login session, one by which a browser is known after that
// has ended, and one of the language that the person chose.
type cookies struct {
	session, device, language string
	path                      string
	secure                    bool
}

// newCookies names the cookies so that a browser holds them to what they are
// (RFC 6265bis section 4.1.3): with __Host-, a server of a sibling domain, or
// one without TLS, cannot plant one, and so not sign a visitor in as its owner.
// That prefix is for servers at the root of their host.
func newCookies(base string, secure bool) cookies {
	prefix := ""
	switch {
	case secure && base == "":
		prefix = "__Host-"
	case secure:
		prefix = "__Secure-"
	}
	return cookies{prefix + "ingam_session", prefix + "ingam_device", prefix + "ingam_language", base + "/", secure}
}

func (c cookies) set(w http.ResponseWriter, name, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: c.path, MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	})
}

// signedIn gives the browser what a sign-in leaves in it.
func (c cookies) signedIn(w http.ResponseWriter, in accounts.SignedIn) {
	c.set(w, c.session, in.Secret, 0)
	c.set(w, c.device, in.Device, accounts.DeviceLife)
}

// visitor returns where a request comes from.
func (c cookies) visitor(r *http.Request) accounts.Visitor {
	v := accounts.Visitor{Address: clients.AddressOf(r), UserAgent: r.UserAgent()}
	if device, err := r.Cookie(c.device); err == nil {
		v.Device = device.Value
	}
	return v
}

// icon is GET /favicon.ico.
func (p people) icon(w http.ResponseWriter, r *http.Request) error {
	p.pages.WriteIcon(w, r)
	return nil
}

// page is a handler whose failures are shown to a person.
type page func(w http.ResponseWriter, r *http.Request) error

func (p people) page(h page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			p.fail(w, r, err)
		}
	})
}

// place is where a page is shown.
type place struct {
	// locale is what the client wants it in (ui_locales).
	locale string
	// here is the path, below the issuer's, at which the same page is shown when it
	// is asked for; empty if there is none.
	here string
}

func (p people) text(r *http.Request, uiLocales string) pages.Text {
	chosen := ""
	if c, err := r.Cookie(p.cookies.language); err == nil {
		chosen = c.Value
	}
	return pages.TextFor(chosen, uiLocales, r.Header.Get("Accept-Language"))
}

func (p people) show(w http.ResponseWriter, r *http.Request, at place, status int, content pages.Content) {
	if len(p.base+languageAt(at.here)) > longestAddress {
		at.here = ""
	}
	p.pages.Write(w, pages.Shown{Text: p.text(r, at.locale), RequestID: w.Header().Get(headerRequestID), Here: at.here}, status, content)
}

// pathLanguage is where a person chooses the language of pages.
const pathLanguage = "/language"

func languageAt(here string) string {
	return pathLanguage + "?" + url.Values{"to": {"ko"}, "then": {here}}.Encode()
}

// languageLife is for how long the choice is remembered.
const languageLife = 365 * 24 * time.Hour

// language is GET /language. A link is enough: nothing hangs on it that a stranger
// who sends somebody there could gain.
func (p people) language(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if !pages.IsLanguage(query.Get("to")) {
		return turnedAway{protocol.Refuse(protocol.InvalidRequest, "There are no pages in this language."), pages.FaultOfLink}
	}
	// Only to this server's own, and not up to a neighbour's on the same host: whoever
	// could choose would have a redirector.
	then, err := url.Parse(query.Get("then"))
	if err != nil || then.Scheme != "" || then.Host != "" || then.Opaque != "" || !strings.HasPrefix(then.Path, "/") ||
		strings.HasPrefix(then.Path, "//") || strings.Contains(then.Path, `\`) || strings.Contains(then.Path+"/", "/../") {
		then = &url.URL{Path: "/"}
	}
	then.User, then.Fragment = nil, ""
	p.cookies.set(w, p.cookies.language, query.Get("to"), languageLife)
	p.sendTo(w, then.String())
	return nil
}

// asset is GET /assets/….
func (p people) asset(w http.ResponseWriter, r *http.Request) error {
	if !p.pages.Asset(w, r, strings.TrimPrefix(r.URL.Path, p.base)) {
		return errNothing
	}
	return nil
}

// home is GET /.
func (p people) home(w http.ResponseWriter, r *http.Request) error {
	p.show(w, r, place{here: "/"}, http.StatusOK, pages.Home{})
	return nil
}

// answer sends the person back to the client with an authorization response,
// which names the issuer (RFC 9207): a client of several servers can tell whose
// answer it is.
func (p people) answer(w http.ResponseWriter, r *http.Request, req *authz.AuthorizeRequest, values url.Values) {
	values.Set("iss", p.authority.Issuer.URL())
	if req.State != "" {
		values.Set("state", req.State)
	}
	unkept(w.Header())
	if !req.FormPost {
		// 303: whatever brought the person here, a password does not go along
		// (RFC 9700 section 4.12).
		w.Header().Set("Location", authz.WithQuery(req.RedirectURI, values))
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p.showPost(w, r, req.Locale, req.RedirectURI, values)
}

// showPost has the browser send a form, by itself if it runs scripts.
func (p people) showPost(w http.ResponseWriter, r *http.Request, uiLocales, action string, values url.Values) {
	page := pages.Post{Action: action}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		for _, value := range values[name] {
			page.Fields = append(page.Fields, pages.Field{Name: name, Value: value})
		}
	}
	p.show(w, r, place{locale: uiLocales}, http.StatusOK, page)
}

// session returns the login session of the browser; nil if there is none.
func (p people) session(r *http.Request) (*accounts.Session, accounts.User, error) {
	c, err := r.Cookie(p.cookies.session)
	if err != nil {
		return nil, accounts.User{}, nil
	}
	s, u, err := p.sessions.Find(r.Context(), c.Value)
	if errors.Is(err, accounts.ErrNoSession) {
		return nil, accounts.User{}, nil
	}
	if err != nil {
		return nil, accounts.User{}, err
	}
	return &s, u, nil
}

// authorizeByPost is OpenID Connect Core 1.0 section 3.1.2.1. To the form of
// another site browsers do not add the session's cookie, so they are asked to come
// once more, in a way to which they do.
func (p people) authorizeByPost(w http.ResponseWriter, r *http.Request) error {
	text, err := p.forms.read(w, r)
	if err != nil {
		return err
	}
	values, fault := parameters(text)
	again := values.Has(reposted)
	values.Del(reposted)
	if fault != nil || again || p.guard.Check(r) == nil {
		return p.authorize(w, r, values, fault)
	}
	req, err := p.parse(r, values, nil)
	if err != nil {
		return err
	}
	if inFrame(r) && p.tooLong(req.Query) {
		// Where no page of this server is shown, it is answered as it stands.
		return p.authorize(w, r, values, nil)
	}
	p.goOn(w, r, req.Locale, req.Query)
	return nil
}

func inFrame(r *http.Request) bool {
	return slices.Contains([]string{"iframe", "frame", "fencedframe", "embed", "object"}, r.Header.Get("Sec-Fetch-Dest"))
}

// longestAddress is how long an address may be, in bytes from its path on, that
// this server sends a browser to: what is on the way to it, such as nginx by
// default, takes 8192 for the whole line.
const longestAddress = 8000

func (p people) tooLong(query url.Values) bool {
	return len(p.base+authorizeAt(query)) > longestAddress
}

// goOn has a browser send an authorization request from here: by its address or,
// where that is too long, by a form that it posts.
func (p people) goOn(w http.ResponseWriter, r *http.Request, uiLocales string, query url.Values) {
	if p.tooLong(query) {
		p.showPost(w, r, uiLocales, p.base+PathAuthorize, once(query))
		return
	}
	p.sendTo(w, authorizeAt(query))
}

// sendTo sends a browser to a path of this server's.
func (p people) sendTo(w http.ResponseWriter, path string) {
	unkept(w.Header())
	w.Header().Set("Location", p.base+path)
	w.WriteHeader(http.StatusSeeOther)
}

// authorizeByGet is RFC 6749 section 3.1.
func (p people) authorizeByGet(w http.ResponseWriter, r *http.Request) error {
	values, fault := parameters(r.URL.RawQuery)
	return p.authorize(w, r, values, fault)
}

// authorize answers an authorization request.
func (p people) authorize(w http.ResponseWriter, r *http.Request, query url.Values, fault error) error {
	req, err := p.parse(r, query, fault)
	if err != nil {
		return err
	}
	recordOf(r).clientID, recordOf(r).leftOut = req.Client.ID, req.LeftOut
	session, user, err := p.session(r)
	if err != nil {
		return err
	}
	step, err := p.authority.Next(r.Context(), req, session)
	if err != nil {
		return err
	}
	if step != authz.StepDone && p.tooMuch(req) {
		return &authz.AuthorizeError{Request: req, Refused: protocol.Refuse(protocol.InvalidRequest, "The request is too long: the pages that the user has to be shown cannot carry it.")}
	}
	switch step {
	case authz.StepLogin:
		return p.showLogin(w, r, req, pages.Login{Then: authorizeAt(req.Query), Username: req.LoginHint}, http.StatusOK)
	case authz.StepConsent:
		return p.showConsent(w, r, req, *session, user)
	}
	return p.finish(w, r, req, *session)
}

// tooMuch reports whether a request would leave too little room for the rest in a
// form that brings it back, encoded twice by then: that is better said to the
// client now than to a person who has typed a password.
func (p people) tooMuch(req *authz.AuthorizeRequest) bool {
	return int64(len(url.QueryEscape(authorizeAt(req.Onward())))) > p.forms.maxBody*3/4
}

// authorizeAt is where an authorization request goes on, at this server.
func authorizeAt(query url.Values) string { return PathAuthorize + "?" + query.Encode() }

// parse reads an authorization request that is to be answered now.
func (p people) parse(r *http.Request, query url.Values, fault error) (*authz.AuthorizeRequest, error) {
	recordOf(r).asked = query
	return p.authority.ParseAuthorize(r.Context(), query, fault)
}

// asked reads an authorization request that a page carries.
func (p people) asked(r *http.Request, text string) (*authz.AuthorizeRequest, error) {
	values, fault := parameters(text)
	return p.parse(r, values, fault)
}

// finish sends the person back with a code.
func (p people) finish(w http.ResponseWriter, r *http.Request, req *authz.AuthorizeRequest, session accounts.Session) error {
	code, err := p.authority.IssueCode(r.Context(), req, session)
	if errors.Is(err, grants.ErrNotFound) {
		return endedMeanwhile{err, authorizeAt(req.Query)}
	}
	if err != nil {
		return err
	}
	p.answer(w, r, req, url.Values{"code": {code}})
	return nil
}

func (p people) showLogin(w http.ResponseWriter, r *http.Request, req *authz.AuthorizeRequest, page pages.Login, status int) error {
	at := place{here: pathLogin}
	if req != nil {
		page.Client, at = req.Client.Name, place{req.Locale, authorizeAt(req.Onward())}
	}
	p.show(w, r, at, status, page)
	return nil
}

// destination is where a person goes after signing in: to an authorization
// request, or, without one, to their account. Nothing else: whoever could choose
// would have a redirector with a sign-in page in front of it.
func (p people) destination(r *http.Request, then string) (*authz.AuthorizeRequest, error) {
	query, is := strings.CutPrefix(then, PathAuthorize+"?")
	if !is {
		return nil, nil
	}
	return p.asked(r, query)
}

// loginPage is GET /login: for one's own account.
func (p people) loginPage(w http.ResponseWriter, r *http.Request) error {
	return p.showLogin(w, r, nil, pages.Login{}, http.StatusOK)
}

// login is POST /login.
func (p people) login(w http.ResponseWriter, r *http.Request) error {
	if err := p.forms.parse(w, r); err != nil {
		return err
	}
	form := pages.Login{Then: r.PostForm.Get("then"), Username: r.PostForm.Get("username")}
	req, err := p.destination(r, form.Then)
	if err != nil {
		return err
	}
	visitor := p.cookies.visitor(r)
	old, _, err := p.session(r)
	if err != nil {
		return err
	}
	if old != nil {
		visitor.Session = old.ID
	}
	in, err := p.signIn.Do(r.Context(), form.Username, r.PostForm.Get("password"), visitor)
	recordOf(r).triedSignIn(err)
	var tooMany *accounts.TooManyError
	switch {
	case errors.As(err, &tooMany):
		retryAfter(w.Header(), tooMany.RetryAfter)
		form.Problem, form.Wait = "too many", tooMany.RetryAfter
		return p.showLogin(w, r, req, form, http.StatusTooManyRequests)
	case errors.Is(err, accounts.ErrCrowded):
		retryAfter(w.Header(), accounts.CrowdedFor)
		form.Problem, form.Wait = "crowded", accounts.CrowdedFor
		return p.showLogin(w, r, req, form, http.StatusServiceUnavailable)
	case errors.Is(err, accounts.ErrWrong):
		form.Problem = "wrong"
		return p.showLogin(w, r, req, form, http.StatusUnprocessableEntity)
	case err != nil:
		return err
	}
	// The session of whoever was signed in here before ends: a browser has one.
	if old != nil && old.UserID != in.User.ID {
		err := p.sessions.End(r.Context(), old.UserID, old.ID, "signed in again", audit.Actor("user:"+old.UserID))
		if err != nil && !errors.Is(err, accounts.ErrNoSession) {
			return err
		}
	}
	p.cookies.signedIn(w, in)
	if req == nil {
		p.sendTo(w, pathAccount)
		return nil
	}
	query, err := p.authority.SignedInFor(req, in.Session)
	if err != nil {
		return err
	}
	p.goOn(w, r, req.Locale, query)
	return nil
}
