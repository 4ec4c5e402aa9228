package web

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"math"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
)

// firstParty signs people in for apps of whoever runs the server, which ask for
// the password themselves: JSON in, tokens out. It is the same sign-in, the same
// grants and the same refresh as everywhere; what differs is how an app is
// answered.
//
// Whom a browser serves is told by Origin, which scripts cannot forge, and which
// must be one that the client is registered for, on this server's own site: the
// cookie is SameSite=Strict, and sent by no other. Because bodies are JSON,
// another site cannot post one without asking first (CORS), and is told no.
type firstParty struct {
	people
	maxBody int64
	origins *origins
	// site is the issuer's.
	site       clients.Site
	refreshTTL time.Duration
}

// pair is what an app gets.
type pair struct {
	AccessToken  string `json:"accessToken"`
	RefreshToken string `json:"refreshToken,omitempty"`
	TokenType    string `json:"tokenType"`
	ExpiresIn    int64  `json:"expiresIn"`
	Scope        string `json:"scope"`
	IDToken      string `json:"idToken,omitempty"`
	// DeviceToken is what an app that keeps its tokens itself sends along when its
	// user signs in again: by it the user is told from strangers who guess the
	// password, as a browser is by a cookie.
	DeviceToken string `json:"deviceToken,omitempty"`
}

// isJSON reports whether a request's body is said to be JSON.
func isJSON(r *http.Request) bool { return mediaTypeOf(r) == "application/json" }

// read parses a JSON body: one object, of texts, with no member that is not among
// names, or given twice, which parsers read differently.
func (f firstParty) read(w http.ResponseWriter, r *http.Request, names ...string) (map[string]string, error) {
	if !isJSON(r) {
		return nil, protocol.Refuse(protocol.InvalidRequest, "The Content-Type must be application/json.")
	}
	if _, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, protocol.Refuse(protocol.InvalidRequest, "JSON is in UTF-8 (RFC 8259 section 8.1).")
	}
	if r.URL.RawQuery != "" {
		return nil, protocol.Refuse(protocol.InvalidRequest, "Parameters must be in the body and not in the URL.")
	}
	body := http.MaxBytesReader(w, r.Body, f.maxBody)
	d := json.NewDecoder(body)
	malformed := func(err error) (map[string]string, error) {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			e := protocol.Refuse(protocol.InvalidRequest, "The body is larger than %d bytes.", tooLarge.Limit)
			e.Status = http.StatusRequestEntityTooLarge
			return nil, e
		}
		return nil, protocol.Refuse(protocol.InvalidRequest, "The body is not one JSON object of texts, each given once.")
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return malformed(err)
	}
	texts, given := map[string]string{}, map[string]bool{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return malformed(err)
		}
		value, err := d.Token()
		text, isText := value.(string)
		// What the decoder puts for what is no UTF-8: two passwords would be one.
		isText = isText && !strings.ContainsRune(text, utf8.RuneError)
		if err != nil || !isText || given[name.(string)] {
			return malformed(err)
		}
		given[name.(string)] = true
		if !slices.Contains(names, name.(string)) {
			return nil, protocol.Refuse(protocol.InvalidRequest, "The body has a member that is not known here; there are %s.", strings.Join(names, ", "))
		}
		if text != "" { // else it counts as one that is not there, as in a form
			texts[name.(string)] = text
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed(err)
	}
	return texts, nil
}

// either returns the one of two names for a thing that is given.
func either(a, b, what string) (string, error) {
	if a != "" && b != "" {
		return "", protocol.Refuse(protocol.InvalidRequest, "The %s is given under two names.", what)
	}
	if a+b == "" {
		return "", protocol.Refuse(protocol.InvalidRequest, "The %s is missing.", what)
	}
	return a + b, nil
}

func public(clientID string) url.Values {
	form := url.Values{}
	if clientID != "" {
		form.Set("client_id", clientID)
	}
	return form
}

// login is POST /login with JSON.
func (f firstParty) login(w http.ResponseWriter, r *http.Request) error {
	sent, err := f.read(w, r, "id", "username", "pw", "password", "client_id", "scope", "deviceToken", "address")
	if err != nil {
		return err
	}
	name, err := either(sent["id"], sent["username"], "user name")
	if err != nil {
		return err
	}
	password, err := either(sent["pw"], sent["password"], "password")
	if err != nil {
		return err
	}
	form := public(sent["client_id"])
	client, err := f.authority.FirstParty(r.Context(), r, form)
	if err != nil {
		return err
	}
	recordOf(r).clientID = client.ID
	if err := f.serves(r, client); err != nil {
		return err
	}
	asked, err := f.authority.Asks(r.Context(), client, sent["scope"])
	if err != nil {
		return err
	}
	recordOf(r).leftOut = asked.LeftOut
	visitor, err := f.visitor(r, client, sent["deviceToken"], sent["address"])
	if err != nil {
		return err
	}
	in, err := f.begin(r, name, password, visitor)
	var answer authz.TokenResponse
	if err == nil {
		answer, err = f.authority.TokensFor(r.Context(), r, form, client, in.Session, asked)
		if err == nil && client.Hold == clients.HoldCookie {
			err = f.sessions.EndFormer(r.Context(), in.Former)
		}
		err = f.unfinished(r, in.Session, err)
	}
	if errors.Is(err, accounts.ErrWrong) {
		return errWrongPassword
	}
	if err != nil {
		return err
	}
	recordOf(r).issued = clients.AuthorizationCode
	device := in.Device
	if client.Hold == clients.HoldCookie {
		f.cookies.set(w, f.cookies.device, device, accounts.DeviceLife)
		device = ""
	}
	f.answer(w, client, answer, device)
	return nil
}

// visitor returns where an attempt to sign in comes from. An app that keeps what
// it was given says by which device; a backend, which is where all its users come
// from, says what address they have.
func (f firstParty) visitor(r *http.Request, c *clients.Client, device, address string) (accounts.Visitor, error) {
	v := f.cookies.visitor(r)
	v.ClientID = c.ID
	if device != "" {
		if c.Hold == clients.HoldCookie {
			return v, protocol.Refuse(protocol.InvalidRequest, "The browser of this client says by a cookie which device it is.")
		}
		v.Device = device
	}
	if address != "" {
		if c.Auth == clients.None {
			// Anyone could say so, and guess from as many as they like.
			return v, protocol.Refuse(protocol.InvalidRequest, "Only a client with a secret may say which address a user has.")
		}
		if _, err := netip.ParseAddr(address); err != nil {
			return v, protocol.Refuse(protocol.InvalidRequest, "The address is not an IP address.")
		}
		from := *r
		from.RemoteAddr = address
		v.Address = clients.AddressOf(&from)
	}
	v.Shared = c.Auth != clients.None && address == ""
	return v, nil
}

// begin signs someone in. Returns accounts.ErrWrong.
func (f firstParty) begin(r *http.Request, name, password string, from accounts.Visitor) (accounts.SignedIn, error) {
	in, err := f.people.signIn.Do(r.Context(), name, password, from)
	recordOf(r).triedSignIn(err)
	var tooMany *accounts.TooManyError
	if errors.As(err, &tooMany) {
		e := protocol.Refuse(protocol.AccessDenied, "Too many failed attempts to sign in. Try again in %d seconds.", int(math.Ceil(tooMany.RetryAfter.Seconds())))
		e.Status, e.RetryAfter, e.Cause = http.StatusTooManyRequests, tooMany.RetryAfter, err
		return in, e
	}
	if errors.Is(err, accounts.ErrCrowded) {
		e := protocol.Refuse(protocol.TemporarilyUnavailable, "Too many people are signing in at once. Try again in %d seconds.", int(accounts.CrowdedFor.Seconds()))
		e.RetryAfter, e.Cause = accounts.CrowdedFor, err
		return in, e
	}
	return in, err
}

// unfinished ends a session for which the app gets nothing.
func (f firstParty) unfinished(r *http.Request, session accounts.Session, err error) error {
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
	defer cancel()
	if ending := f.sessions.EndApp(ctx, session.ClientID, session.ID, "the sign-in was not finished"); ending != nil {
		err = errors.Join(err, ending)
	}
	if errors.Is(err, accounts.ErrNoSession) || errors.Is(err, grants.ErrNotFound) {
		// Answered like a wrong password: the user was cut meanwhile.
		cut := &accounts.WrongError{UserID: session.UserID, Reason: accounts.ReasonCut}
		recordOf(r).triedSignIn(cut)
		recordOf(r).err = err
		return cut
	}
	return err
}

// challenge is draft-ietf-oauth-first-party-apps section 5: a code for whoever
// says enough, or what is still to be said.
func (f firstParty) challenge(w http.ResponseWriter, r *http.Request) error {
	if err := f.forms.parse(w, r); err != nil {
		return err
	}
	client, err := f.authority.FirstParty(r.Context(), r, r.PostForm)
	if err != nil {
		return err
	}
	recordOf(r).clientID = client.ID
	if err := f.serves(r, client); err != nil {
		return err
	}
	req, err := f.authority.ChallengeOf(r.Context(), client, r.PostForm)
	if err != nil {
		return err
	}
	recordOf(r).leftOut = req.LeftOut
	name, password := r.PostForm.Get("username"), r.PostForm.Get("password")
	insufficient := struct {
		Error       protocol.Code `json:"error"`
		Description string        `json:"error_description"`
		// Needed are the parameters that are asked for next; the member is this
		// server's own.
		Needed []string `json:"needed"`
	}{protocol.InsufficientAuthorization, "The user name and the password are needed.", []string{"username", "password"}}
	if name == "" || password == "" {
		writeJSON(w, http.StatusForbidden, insufficient) // section 5.2.2.1
		return nil
	}
	// The auth_session is what a device token is at /login: it outlives the sign-in
	// (section 5.3.1) and is good for nothing else.
	visitor, err := f.visitor(r, client, r.PostForm.Get("auth_session"), r.PostForm.Get("address"))
	if err != nil {
		return err
	}
	in, err := f.begin(r, name, password, visitor)
	var code string
	if err == nil {
		code, err = f.authority.IssueCode(r.Context(), req, in.Session)
		err = f.unfinished(r, in.Session, err)
	}
	if errors.Is(err, accounts.ErrWrong) {
		insufficient.Description = "The user name or the password is wrong."
		writeJSON(w, http.StatusForbidden, insufficient)
		return nil
	}
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"authorization_code": code, "auth_session": in.Device})
	return nil
}

// errWrongPassword is one answer for an unknown user, a wrong password and a
// disabled user.
var errWrongPassword = func() error {
	e := protocol.Refuse(protocol.InvalidGrant, "The user name or the password is wrong.")
	e.Status = http.StatusUnauthorized
	return e
}()

// refresh is POST /token/refresh.
func (f firstParty) refresh(w http.ResponseWriter, r *http.Request) error {
	held, err := f.holder(w, r)
	if err != nil {
		return err
	}
	token, err := f.authority.OneOf(r.Context(), held.tokens, func(user string) (bool, error) {
		// Below the root of a host, a neighbour can plant this cookie too.
		devices := r.CookiesNamed(f.cookies.device)
		if f.base != "" || len(devices) != 1 {
			return false, nil
		}
		return f.sessions.Knows(r.Context(), user, devices[0].Value)
	})
	if err != nil {
		return err
	}
	if token == "" {
		return unauthorized(protocol.Refuse(protocol.InvalidGrant, "There is no refresh token that is valid: sign in."))
	}
	answer, err := f.authority.RefreshFor(r.Context(), r, held.form, token)
	if err != nil {
		return unauthorized(err)
	}
	recordOf(r).issued = clients.RefreshToken
	f.answer(w, held.client, answer, "")
	return nil
}

// logout is POST /token/logout. What ends already is no error: what is wanted is
// true.
func (f firstParty) logout(w http.ResponseWriter, r *http.Request) error {
	held, err := f.holder(w, r)
	if err != nil {
		return err
	}
	for _, token := range held.tokens { // if one of them was planted, nobody is harmed
		if err := f.authority.SignOutFor(r.Context(), held.client, f.sessions, token); err != nil {
			return err
		}
	}
	for _, name := range held.cookies {
		f.setRefresh(w, name, "", -time.Second)
	}
	unkept(w.Header())
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unauthorized has an app sign in again.
func unauthorized(err error) error {
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		e := *refused
		e.Status = http.StatusUnauthorized
		return &e
	}
	return err
}

// holding is what a request holds of refresh tokens, and the client that they were
// issued to.
type holding struct {
	client *clients.Client
	form   url.Values
	// tokens are those that were signed for the client. Several are only in
	// cookies, of which a neighbour of the same site may have planted some.
	tokens []string
	// cookies are the names of those that the request brought.
	cookies []string
}

// holder reads what the holder of a refresh token sends. client is nil if there is
// no token.
func (f firstParty) holder(w http.ResponseWriter, r *http.Request) (holding, error) {
	refuse := func(why string) (holding, error) {
		return holding{}, protocol.Refuse(protocol.InvalidRequest, "%s", why)
	}
	in, err := f.read(w, r, "refreshToken", "client_id")
	if err != nil {
		return holding{}, err
	}
	h := holding{form: public(in["client_id"])}
	owners := map[string]bool{}
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, refreshCookie) || in["client_id"] != "" && c.Name != refreshCookieOf(in["client_id"]) {
			continue
		}
		h.cookies = append(h.cookies, c.Name)
		if len(h.cookies) > mostCookies {
			return refuse("There are too many refresh tokens.")
		}
		owner, err := f.authority.HolderOf(r.Context(), c.Value)
		if err != nil {
			return holding{}, err
		}
		if owner != "" && refreshCookieOf(owner) == c.Name && !slices.Contains(h.tokens, c.Value) {
			h.tokens, owners[owner] = append(h.tokens, c.Value), true
		}
	}
	switch token := in["refreshToken"]; {
	case token != "" && len(h.cookies) > 0:
		return refuse("The refresh token comes in the body and in a cookie.")
	case len(owners) > 1:
		return refuse("There are refresh tokens of several apps: name the client_id.")
	case token != "":
		h.tokens = []string{token}
	case len(h.tokens) == 0:
		if len(h.cookies) == 0 {
			return h, nil
		}
		known, err := f.known(r)
		if err == nil && !known {
			err = errOrigin
		}
		return h, err
	}
	h.client, err = f.authority.FirstPartyOf(r.Context(), r, h.form, h.tokens[0])
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		h.tokens = nil
		return h, nil
	}
	if err != nil {
		return h, err
	}
	recordOf(r).clientID = h.client.ID
	if (h.client.Hold == clients.HoldCookie) != (len(h.cookies) > 0) {
		return refuse("The client is registered to hold its refresh token in another way.")
	}
	return h, f.serves(r, h.client)
}

// mostCookies is how many refresh tokens a browser may send: checking one costs
// more than sending it.
const mostCookies = 10

// serves checks that a browser that sends a request does so for a page of the
// client's.
func (f firstParty) serves(r *http.Request, c *clients.Client) error {
	origin := r.Header.Get("Origin")
	known := slices.Contains(c.Origins, origin) && clients.SiteOf(origin) == f.site
	if origin == "" && c.Hold == clients.HoldMemory && r.Header.Get("Sec-Fetch-Site") == "" || known {
		return nil
	}
	return errOrigin
}

var errOrigin = func() error {
	e := protocol.Refuse(protocol.InvalidRequest, "The client is not used from this origin.")
	e.Status = http.StatusForbidden
	return e
}()

// known reports whether a request is sent by a page of any client's.
func (f firstParty) known(r *http.Request) (bool, error) {
	origin := r.Header.Get("Origin")
	if origin == "" || clients.SiteOf(origin) != f.site {
		return false, nil
	}
	return f.origins.has(r.Context(), origin)
}

func (f firstParty) answer(w http.ResponseWriter, c *clients.Client, t authz.TokenResponse, device string) {
	p := pair{t.AccessToken, t.RefreshToken, t.TokenType, t.ExpiresIn, t.Scope, t.IDToken, device}
	if c.Hold == clients.HoldCookie {
		f.setRefresh(w, refreshCookieOf(c.ID), t.RefreshToken, f.refreshTTL)
		p.RefreshToken = ""
	}
	writeJSON(w, http.StatusOK, p)
}

// refreshCookie is how the names of the cookies begin that hold refresh tokens:
// with __Secure-, no page without TLS can plant one.
const refreshCookie = "__Secure-ingam_refresh_"

// refreshCookieOf names a client's: two apps may share a browser. (A client id may
// hold what a cookie's name must not.)
func refreshCookieOf(client string) string {
	sum := sha256.Sum256([]byte(client))
	return refreshCookie + base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:10])
}

func (f firstParty) setRefresh(w http.ResponseWriter, name, token string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: token, Path: f.base + "/token", MaxAge: int(age / time.Second),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteStrictMode,
	})
}

// cross lets scripts of the clients' origins call what they are meant to, with
// credentials, and no others.
func (f firstParty) cross(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Add("Vary", "Origin")
		origin := r.Header.Get("Origin")
		// While it cannot be told, the browser says that the page may not.
		if known, err := f.known(r); err == nil && known {
			h.Set("Access-Control-Allow-Origin", origin)
			h.Set("Access-Control-Allow-Credentials", "true")
			h.Set("Access-Control-Expose-Headers", "Retry-After, "+headerRequestID)
			if r.Method == http.MethodOptions {
				h.Set("Access-Control-Allow-Methods", http.MethodPost)
				h.Set("Access-Control-Allow-Headers", "Content-Type")
				h.Set("Access-Control-Max-Age", strconv.Itoa(600))
			}
		}
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// origins are the web origins of all clients, those of first-party apps and those
// that people are sent here from. Neither a preflight nor a broken link names a
// client.
type origins struct {
	list func(ctx context.Context) ([]clients.Client, error)

	mu          sync.Mutex
	apps, sends []string
	until       time.Time
}

// originsHeld is for how long the origins of all clients are kept: strangers can
// ask as often as they like.
const originsHeld = 2 * time.Second

// has reports whether an origin is registered for a first-party app.
func (o *origins) has(ctx context.Context, origin string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.load(ctx)
	return slices.Contains(o.apps, origin), err
}

// sendsHere reports whether an origin is that of a client to which people return.
func (o *origins) sendsHere(ctx context.Context, origin string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.load(ctx)
	return slices.Contains(o.sends, origin), err
}

func (o *origins) load(ctx context.Context) error {
	now := time.Now()
	if !now.After(o.until) {
		return nil
	}
	o.apps, o.sends = nil, nil
	all, err := o.list(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Disabled {
			continue
		}
		o.apps = append(o.apps, c.Origins...)
		o.sends = append(o.sends, c.Origins...)
		for _, address := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
			if u, err := url.Parse(address); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
				o.sends = append(o.sends, u.Scheme+"://"+u.Host)
			}
		}
	}
	o.until = now.Add(originsHeld)
	return nil
}
