package web

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
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
	// base is the path of the issuer.
	base string
}

// cookies are one of the login session, and one by which a browser is known
// after that has ended.
type cookies struct {
	session, device string
	path            string
	secure          bool
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
	return cookies{prefix + "ingam_session", prefix + "ingam_device", base + "/", secure}
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
	c.set(w, c.device, in.Device, deviceLife)
}

// deviceLife is for how long a browser is known after its last sign-in.
const deviceLife = 365 * 24 * time.Hour

// visitor returns where a request comes from.
func (c cookies) visitor(r *http.Request) accounts.Visitor {
	v := accounts.Visitor{Address: clients.AddressOf(r), UserAgent: r.UserAgent()}
	if device, err := r.Cookie(c.device); err == nil {
		v.Device = device.Value
	}
	return v
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

func (p people) text(r *http.Request, uiLocales string) pages.Text {
	return pages.TextFor(uiLocales, r.Header.Get("Accept-Language"))
}

func (p people) show(w http.ResponseWriter, r *http.Request, uiLocales string, status int, content pages.Content) {
	pages.Write(w, p.text(r, uiLocales), p.base, w.Header().Get(headerRequestID), status, content)
}

// turnedAway is a request that no page or endpoint was asked about. A program may
// have sent it as well as a person.
type turnedAway struct {
	error
	// advice is what a person is told.
	advice pages.TextName
}

func (e turnedAway) Unwrap() error { return e.error }

// ours wraps what only the pages of this server may send: a page of another site
// must not act in the name of whoever is signed in.
func (p people) ours(h page) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := p.guard.Check(r); err != nil {
			return errForeign(err)
		}
		return h(w, r)
	}
}

func errForeign(cause error) error {
	e := protocol.Refuse(protocol.InvalidRequest, "The page that sent this is not one of this server.")
	e.Status, e.Cause = http.StatusForbidden, cause
	return turnedAway{e, "error foreign"}
}

// nothing answers what no route is for: an address without a page, or a method
// that it does not have (RFC 9110 section 15.5.6).
func nothing(routes *http.ServeMux) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPost} {
			if _, pattern := routes.Handler(&http.Request{Method: method, URL: r.URL, Host: r.Host}); pattern != everything {
				allowed = append(allowed, method)
			}
		}
		e := protocol.Refuse(protocol.InvalidRequest, "There is nothing at this address.")
		e.Status = http.StatusNotFound
		if len(allowed) > 0 {
			e = protocol.Refuse(protocol.InvalidRequest, "This address is not for the method of the request.")
			e.Status = http.StatusMethodNotAllowed
			w.Header().Set("Allow", strings.Join(allowed, ", "))
		}
		return turnedAway{e, "error nothing"}
	}
}

// everything is the route of what no other is for.
const everything = "/"

// home is GET /.
func (p people) home(w http.ResponseWriter, r *http.Request) error {
	p.show(w, r, "", http.StatusOK, pages.Home{})
	return nil
}

// fail tells the client of a refusal if it may be told, and otherwise the
// person.
func (p people) fail(w http.ResponseWriter, r *http.Request, err error) {
	var toClient *authz.AuthorizeError
	if errors.As(err, &toClient) {
		rec := recordOf(r)
		rec.errorCode, rec.err, rec.clientID = string(toClient.Refused.Code), err, toClient.Request.Client.ID
		p.answer(w, r, toClient.Request, url.Values{
			"error": {string(toClient.Refused.Code)}, "error_description": {visible(toClient.Refused.Description)},
		})
		return
	}
	var away turnedAway
	if errors.As(err, &away) && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		refuse(w, r, err)
		return
	}
	e := protocol.From(err)
	rec := recordOf(r)
	rec.errorCode, rec.err = string(e.Code), err
	advice, status := pages.TextName("error request"), e.Status
	switch {
	case away.advice != "":
		advice = away.advice
	case errors.Is(err, accounts.ErrNoSession), errors.Is(err, grants.ErrNotFound):
		advice, status, e.Description = "error session", http.StatusForbidden, "The login session has ended."
	case status >= http.StatusInternalServerError:
		advice = "error server"
	case status == http.StatusUnauthorized:
		status = http.StatusBadRequest // there is no Basic to ask a person for
	}
	if e.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(e.RetryAfter/time.Second)))
	}
	p.show(w, r, "", status, pages.Error{Advice: advice, Description: e.Description})
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
	p.show(w, r, uiLocales, http.StatusOK, page)
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
	req, err := p.authority.ParseAuthorize(r.Context(), values, nil)
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
		p.showPost(w, r, uiLocales, p.base+authz.PathAuthorize, once(query))
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
	req, err := p.authority.ParseAuthorize(r.Context(), query, fault)
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
func authorizeAt(query url.Values) string { return authz.PathAuthorize + "?" + query.Encode() }

// asked reads an authorization request that a page carries.
func (p people) asked(r *http.Request, text string) (*authz.AuthorizeRequest, error) {
	values, fault := parameters(text)
	return p.authority.ParseAuthorize(r.Context(), values, fault)
}

// finish sends the person back with a code.
func (p people) finish(w http.ResponseWriter, r *http.Request, req *authz.AuthorizeRequest, session accounts.Session) error {
	code, err := p.authority.IssueCode(r.Context(), req, session)
	if err != nil {
		return err
	}
	p.answer(w, r, req, url.Values{"code": {code}})
	return nil
}

func (p people) showLogin(w http.ResponseWriter, r *http.Request, req *authz.AuthorizeRequest, page pages.Login, status int) error {
	locale := ""
	if req != nil {
		page.Client, locale = req.Client.Name, req.Locale
	}
	p.show(w, r, locale, status, page)
	return nil
}

// destination is where a person goes after signing in: to an authorization
// request, or, without one, to their account. Nothing else: whoever could choose
// would have a redirector with a sign-in page in front of it.
func (p people) destination(r *http.Request, then string) (*authz.AuthorizeRequest, error) {
	query, is := strings.CutPrefix(then, authz.PathAuthorize+"?")
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
	var tooMany *accounts.TooManyError
	switch {
	case errors.As(err, &tooMany):
		recordOf(r).errorCode, recordOf(r).err = "too_many_attempts", err
		w.Header().Set("Retry-After", strconv.Itoa(int(tooMany.RetryAfter/time.Second)))
		form.Problem = "too many"
		return p.showLogin(w, r, req, form, http.StatusTooManyRequests)
	case errors.Is(err, accounts.ErrWrong):
		recordOf(r).errorCode, recordOf(r).err = "wrong_password", err
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
		p.sendTo(w, authz.PathAccount)
		return nil
	}
	query, err := p.authority.SignedInFor(req, in.Session)
	if err != nil {
		return err
	}
	p.goOn(w, r, req.Locale, query)
	return nil
}

// scopeTexts says in words what permissions mean to a user.
func (p people) scopeTexts(text pages.Text, permissions []string, user accounts.User) []string {
	own := p.authority.Rules.APIs.Own()
	var texts []string
	for _, permission := range permissions {
		of := grants.ParsePermission(permission)
		scope, known := own.Find(of.Scope)
		known = known && of.Audience == ""
		said := ""
		switch further := user.Further(own); {
		case known && scope.Further:
			if said = text.Of(scope.Texts); said == "" {
				said = text.T("see") + strings.Join(scope.Claims, ", ")
			}
		case known && scope.Name == apis.Profile && len(further) > 0:
			said = text.T("scope profile") + text.T("and further") + strings.Join(further, ", ")
		case known:
			said = text.T(pages.TextName("scope " + scope.Name))
		default:
			said = text.T("scope other") + " “" + of.Scope + "”"
			if of.Audience != "" {
				said += " (" + of.Audience + ")"
			}
		}
		texts = append(texts, said)
	}
	return texts
}

func (p people) showConsent(w http.ResponseWriter, r *http.Request, req *authz.AuthorizeRequest, session accounts.Session, user accounts.User) error {
	u, err := url.Parse(req.RedirectURI)
	if err != nil {
		return err
	}
	// What is no host of the web is the app's own affair: the scheme says whose.
	host := u.Host
	if u.Scheme != "https" && u.Scheme != "http" {
		host = u.Scheme + ":"
	}
	p.show(w, r, req.Locale, http.StatusOK, pages.Consent{
		Client: req.Client.Name, Host: host, Username: user.Username, Request: req.Onward().Encode(), Session: session.ID,
		Scopes: p.scopeTexts(p.text(r, req.Locale), req.Permissions(), user),
	})
	return nil
}

// consent is POST /consent. The request comes back as it was asked and is
// judged anew: whoever edits it asks for something else, in their own name.
func (p people) consent(w http.ResponseWriter, r *http.Request) error {
	if err := p.forms.parse(w, r); err != nil {
		return err
	}
	req, err := p.asked(r, r.PostForm.Get("request"))
	if err != nil {
		return err
	}
	recordOf(r).clientID, recordOf(r).leftOut = req.Client.ID, req.LeftOut
	if r.PostForm.Get("decision") == "switch" {
		// To sign in as somebody else; all that was asked is asked of them.
		return p.showLogin(w, r, req, pages.Login{Then: authorizeAt(req.Query)}, http.StatusOK)
	}
	session, _, err := p.session(r)
	if err != nil {
		return err
	}
	if session == nil || session.ID != r.PostForm.Get("session") {
		// Signed out meanwhile, or someone else signed in here: it was not they
		// who saw the page.
		return accounts.ErrNoSession
	}
	if r.PostForm.Get("decision") != "allow" {
		return authz.Denied(req)
	}
	step, err := p.authority.Next(r.Context(), req, session)
	if err != nil {
		return err
	}
	if step == authz.StepLogin {
		// The sign-in has become too old while the page was shown, or another
		// one was made meanwhile.
		p.goOn(w, r, req.Locale, req.Query)
		return nil
	}
	if err := p.authority.Allow(r.Context(), req, *session); err != nil {
		return err
	}
	return p.finish(w, r, req, *session)
}

// logoutPage is GET /logout (OpenID Connect RP-Initiated Logout 1.0 section 2).
// It asks: anyone can lead a browser here.
func (p people) logoutPage(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r.URL.RawQuery)
	if err != nil {
		return err
	}
	req, err := p.authority.ParseLogout(r.Context(), query)
	if err != nil {
		return err
	}
	session, user, err := p.session(r)
	if err != nil {
		return err
	}
	if session == nil {
		return p.leave(w, r, req)
	}
	if req.SessionID == session.ID {
		// Whoever holds an ID token of this very session is a client of it.
		return p.endSession(w, r, *session, req)
	}
	p.showLogout(w, r, user.Username, query.Encode(), req)
	return nil
}

// repost has the browser send a client's form once more, from here: to a form
// of another site it does not add the session's cookie.
func (p people) repost(w http.ResponseWriter, r *http.Request) error {
	req, err := p.authority.ParseLogout(r.Context(), r.PostForm)
	if err != nil {
		return err
	}
	p.showPost(w, r, req.Locale, p.base+authz.PathLogout, once(r.PostForm))
	return nil
}

// reposted marks a form that this server has a browser send from here: whatever
// the browser says of where it came from then, it is not asked to once more.
const reposted = "ingam_reposted"

func once(form url.Values) url.Values {
	form = maps.Clone(form)
	form.Set(reposted, "1")
	return form
}

// showLogout asks whoever is signed in whether to sign out; without a username it
// says that it is done.
func (p people) showLogout(w http.ResponseWriter, r *http.Request, username, request string, req authz.LogoutRequest) {
	page := pages.Logout{Username: username, Request: request}
	switch req.NoReturn {
	case authz.ErrNobodyAsks:
		page.NoReturn = "nobody asks"
	case authz.ErrNotItsAddress:
		page.NoReturn = "not its address"
	}
	if req.NoReturn != nil {
		recordOf(r).errorCode, recordOf(r).err = string(protocol.InvalidRequest), req.NoReturn
	}
	if req.Client != nil {
		recordOf(r).clientID = req.Client.ID
	}
	p.show(w, r, req.Locale, http.StatusOK, page)
}

// logout is POST /logout: from the page, or from a client (section 2 demands
// it).
func (p people) logout(w http.ResponseWriter, r *http.Request) error {
	if err := p.forms.parse(w, r); err != nil {
		return err
	}
	query := r.PostForm
	if err := p.guard.Check(r); err != nil {
		if r.PostForm.Has("decision") || r.PostForm.Has(reposted) {
			return errForeign(err)
		}
		return p.repost(w, r)
	}
	if r.PostForm.Has("request") {
		var err error
		if query, err = parameters(r.PostForm.Get("request")); err != nil {
			return err
		}
	}
	req, err := p.authority.ParseLogout(r.Context(), query)
	if err != nil {
		return err
	}
	session, user, err := p.session(r)
	switch {
	case err != nil:
		return err
	case session == nil:
		return p.leave(w, r, req)
	case r.PostForm.Get("decision") == "out" || req.SessionID == session.ID:
		return p.endSession(w, r, *session, req)
	case r.PostForm.Get("decision") == "stay":
		p.sendTo(w, authz.PathAccount)
		return nil
	}
	p.showLogout(w, r, user.Username, query.Encode(), req)
	return nil
}

func (p people) endSession(w http.ResponseWriter, r *http.Request, session accounts.Session, req authz.LogoutRequest) error {
	err := p.sessions.End(r.Context(), session.UserID, session.ID, "signed out", audit.Actor("user:"+session.UserID))
	if err != nil && !errors.Is(err, accounts.ErrNoSession) {
		return err
	}
	return p.leave(w, r, req)
}

// leave sends a person who is signed out away, or says so.
func (p people) leave(w http.ResponseWriter, r *http.Request, req authz.LogoutRequest) error {
	p.cookies.set(w, p.cookies.session, "", -time.Second)
	if req.Return == "" {
		p.showLogout(w, r, "", "", req)
		return nil
	}
	unkept(w.Header())
	w.Header().Set("Location", req.Return)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// owner wraps what is for whoever is signed in.
func (p people) owner(h func(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error) page {
	return func(w http.ResponseWriter, r *http.Request) error {
		session, user, err := p.session(r)
		if err != nil {
			return err
		}
		if session == nil {
			p.sendTo(w, authz.PathLogin)
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

// account is GET /account.
func (p people) account(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
	return p.showAccount(w, r, session, user, "", http.StatusOK)
}

func (p people) showAccount(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User, notice pages.TextName, status int) error {
	ctx := r.Context()
	sessions, _, err := p.sessions.Of(ctx, user.ID, session.ID, 100)
	if err != nil {
		return err
	}
	connected, err := p.authority.Connected(ctx, user.ID)
	if err != nil {
		return err
	}
	page := pages.Account{Username: user.Username, Email: user.Email, Notice: notice}
	text := p.text(r, "")
	for _, s := range sessions {
		name := browserOf(s.UserAgent)
		for _, c := range connected {
			if c.ClientID == s.ClientID {
				name = c.Name + " · " + name
			}
		}
		page.Sessions = append(page.Sessions, pages.Session{
			ID: s.ID, Browser: name, Since: s.CreatedAt.Format("2006-01-02 15:04 MST"), Address: s.Address, Here: s.ID == session.ID,
		})
	}
	for _, c := range connected {
		page.Apps = append(page.Apps, pages.App{ID: c.ClientID, Name: c.Name, Scopes: p.scopeTexts(text, c.Permissions, user)})
	}
	p.show(w, r, "", status, page)
	return nil
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

// endOther is POST /account/sessions: one of the user's own, whoever asks.
func (p people) endOther(w http.ResponseWriter, r *http.Request, _ accounts.Session, user accounts.User) error {
	err := p.sessions.End(r.Context(), user.ID, r.PostForm.Get("id"), "ended in the account", audit.Actor("user:"+user.ID))
	if err != nil && !errors.Is(err, accounts.ErrNoSession) {
		return err
	}
	p.sendTo(w, authz.PathAccount)
	return nil
}

// disconnect is POST /account/apps.
func (p people) disconnect(w http.ResponseWriter, r *http.Request, _ accounts.Session, user accounts.User) error {
	if err := p.authority.Consents.TakeBack(r.Context(), user.ID, r.PostForm.Get("client")); err != nil {
		return err
	}
	p.sendTo(w, authz.PathAccount)
	return nil
}

// changePassword is POST /account/password.
func (p people) changePassword(w http.ResponseWriter, r *http.Request, session accounts.Session, user accounts.User) error {
	ctx := r.Context()
	in, err := p.signIn.Change(ctx, user, r.PostForm.Get("current"), r.PostForm.Get("new"), "changed in the account", p.cookies.visitor(r))
	var tooMany *accounts.TooManyError
	switch {
	case errors.As(err, &tooMany):
		w.Header().Set("Retry-After", strconv.Itoa(int(tooMany.RetryAfter/time.Second)))
		return p.showAccount(w, r, session, user, "too many", http.StatusTooManyRequests)
	case errors.Is(err, accounts.ErrWrong):
		return p.showAccount(w, r, session, user, "wrong", http.StatusUnprocessableEntity)
	case errors.Is(err, accounts.ErrInvalid):
		return p.showAccount(w, r, session, user, "password refused", http.StatusUnprocessableEntity)
	case errors.Is(err, accounts.ErrNoSession):
		// Changed all the same; the person signs in with it.
		recordOf(r).err = err
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
	return p.showAccount(w, r, found, user, "password changed", http.StatusOK)
}

// userInfo is OpenID Connect Core 1.0 section 5.3: the token comes in the header
// or, in a POST, in the form (RFC 6750 sections 2.1 and 2.2).
func (o oauth) userInfo(w http.ResponseWriter, r *http.Request) error {
	scheme, token := authorization(r)
	if scheme != "bearer" {
		token = ""
	}
	// A body of another type is not read: some clients send one with whatever they
	// post.
	if r.Method == http.MethodPost && isForm(r) {
		if err := o.forms.parse(w, r); err != nil {
			return bearerError{error: err}
		}
		if inForm := r.PostForm.Get("access_token"); inForm != "" {
			if token != "" {
				return bearerError{error: protocol.Refuse(protocol.InvalidRequest, "The access token comes in two ways (RFC 6750 section 2).")}
			}
			token = inForm
		}
	}
	if token == "" {
		return bearerError{protocol.Refuse(protocol.InvalidToken, "There is no access token."), true}
	}
	claims, client, err := o.authority.UserInfo(r.Context(), token)
	recordOf(r).clientID = client
	if err != nil {
		return bearerError{error: err}
	}
	writeJSON(w, http.StatusOK, claims)
	return nil
}
