package web

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
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
}

// isJSON reports whether a request's body is said to be JSON.
func isJSON(r *http.Request) bool {
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && mediaType == "application/json"
}

// read parses a JSON body: one object, of texts, with no member that is not among
// names, or given twice, which parsers read differently.
func (f firstParty) read(w http.ResponseWriter, r *http.Request, names ...string) (map[string]string, error) {
	if !isJSON(r) {
		return nil, protocol.Refuse(protocol.InvalidRequest, "The Content-Type must be application/json.")
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
	texts := map[string]string{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return malformed(err)
		}
		value, err := d.Token()
		text, isText := value.(string)
		if _, twice := texts[name.(string)]; err != nil || !isText || twice {
			return malformed(err)
		}
		if !slices.Contains(names, name.(string)) {
			return nil, protocol.Refuse(protocol.InvalidRequest, "The body has a member that is not known here; there are %s.", strings.Join(names, ", "))
		}
		texts[name.(string)] = text
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
	in, err := f.read(w, r, "id", "username", "pw", "password", "client_id", "scope")
	if err != nil {
		return err
	}
	name, err := either(in["id"], in["username"], "user name")
	if err != nil {
		return err
	}
	password, err := either(in["pw"], in["password"], "password")
	if err != nil {
		return err
	}
	form := public(in["client_id"])
	client, err := f.authority.FirstParty(r.Context(), r, form)
	if err != nil {
		return err
	}
	recordOf(r).clientID = client.ID
	if err := f.serves(r, client); err != nil {
		return err
	}
	asked, err := f.authority.Asks(r.Context(), client, in["scope"])
	if err != nil {
		return err
	}
	session, device, err := f.begin(r, name, password)
	if errors.Is(err, accounts.ErrWrong) {
		notBasic(w)
		return errWrongPassword
	}
	if err != nil {
		return err
	}
	answer, err := f.authority.TokensFor(r.Context(), r, form, client, session, asked)
	if err != nil {
		return err
	}
	if client.Hold == clients.HoldCookie {
		// By which the browser is told from strangers' who guess the password.
		f.cookies.set(w, f.cookies.device, device, deviceLife)
	}
	f.answer(w, client, answer)
	return nil
}

// begin signs someone in. Returns accounts.ErrWrong.
func (f firstParty) begin(r *http.Request, name, password string) (session accounts.Session, device string, err error) {
	in, err := f.people.signIn.Do(r.Context(), name, password, f.cookies.visitor(r))
	var tooMany *accounts.TooManyError
	if errors.As(err, &tooMany) {
		e := protocol.Refuse(protocol.AccessDenied, "Too many failed attempts to sign in. Try again later.")
		e.Status, e.RetryAfter = http.StatusTooManyRequests, tooMany.RetryAfter
		return session, "", e
	}
	if err != nil {
		return session, "", err
	}
	session, _, err = f.sessions.Find(r.Context(), in.Secret)
	return session, in.Device, err
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
	session, _, err := f.begin(r, name, password)
	if errors.Is(err, accounts.ErrWrong) {
		recordOf(r).errorCode, recordOf(r).err = "wrong_password", err
		insufficient.Description = "The user name or the password is wrong."
		writeJSON(w, http.StatusForbidden, insufficient)
		return nil
	}
	if err != nil {
		return err
	}
	code, err := f.authority.IssueCode(r.Context(), req, session)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, map[string]string{"authorization_code": code})
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
	client, form, token, err := f.holder(w, r)
	if err != nil {
		return err
	}
	answer, err := f.authority.RefreshFor(r.Context(), r, form, token)
	if err != nil {
		return unauthorized(w, err)
	}
	f.answer(w, client, answer)
	return nil
}

// logout is POST /token/logout.
func (f firstParty) logout(w http.ResponseWriter, r *http.Request) error {
	client, _, token, err := f.holder(w, r)
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		// What is wanted is true already.
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.authority.SignOutFor(r.Context(), client, f.sessions, token); err != nil {
		return err
	}
	if client.Hold == clients.HoldCookie {
		f.setRefresh(w, client, "", -time.Second)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// notBasic keeps a browser from asking for a password of its own (HTTP Basic) when
// a script of an app is answered 401.
func notBasic(w http.ResponseWriter) { w.Header().Set("WWW-Authenticate", `Bearer realm="ingam"`) }

// quiet does so, too, when it is the client that is refused: one without a secret
// was disabled, say. One that used Basic is answered in kind (RFC 6749 section 5.2).
func quiet(h endpoint) endpoint {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		var refused *protocol.Error
		if errors.As(err, &refused) && refused.Code == protocol.InvalidClient && r.Header.Get("Authorization") == "" {
			notBasic(w)
		}
		return err
	}
}

// unauthorized has an app sign in again.
func unauthorized(w http.ResponseWriter, err error) error {
	var refused *protocol.Error
	if errors.As(err, &refused) && refused.Code == protocol.InvalidGrant {
		notBasic(w)
		e := *refused
		e.Status = http.StatusUnauthorized
		return &e
	}
	return err
}

// holder returns the refresh token of a request, and the client that holds it.
func (f firstParty) holder(w http.ResponseWriter, r *http.Request) (*clients.Client, url.Values, string, error) {
	refuse := func(why string) (*clients.Client, url.Values, string, error) {
		return nil, nil, "", protocol.Refuse(protocol.InvalidRequest, "%s", why)
	}
	in, err := f.read(w, r, "refreshToken", "client_id")
	if err != nil {
		return nil, nil, "", err
	}
	var cookies []*http.Cookie
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, refreshCookie) && (in["client_id"] == "" || c.Name == refreshCookieOf(in["client_id"])) {
			cookies = append(cookies, c)
		}
	}
	token := in["refreshToken"]
	switch {
	case token != "" && len(cookies) > 0:
		return refuse("The refresh token comes in the body and in a cookie.")
	case len(cookies) > 1:
		return refuse("There are refresh tokens of several apps: name the client_id.")
	case len(cookies) == 1:
		token = cookies[0].Value
	case token == "":
		e := protocol.Refuse(protocol.InvalidGrant, "There is no refresh token: sign in.")
		return nil, nil, "", unauthorized(w, e)
	}
	form := public(in["client_id"])
	client, err := f.authority.FirstPartyOf(r.Context(), r, form, token)
	if err != nil {
		return nil, nil, "", unauthorized(w, err)
	}
	recordOf(r).clientID = client.ID
	if (client.Hold == clients.HoldCookie) != (len(cookies) == 1) {
		return refuse("The client is registered to hold its refresh token in another way.")
	}
	return client, form, token, f.serves(r, client)
}

// serves checks that a browser that sends a request does so for a page of the
// client's.
func (f firstParty) serves(r *http.Request, c *clients.Client) error {
	origin := r.Header.Get("Origin")
	known := slices.Contains(c.Origins, origin) && clients.SiteOf(origin) == f.site
	if origin == "" && c.Hold == clients.HoldMemory && r.Header.Get("Sec-Fetch-Site") == "" || known {
		return nil
	}
	e := protocol.Refuse(protocol.InvalidRequest, "The client is not used from this origin.")
	e.Status = http.StatusForbidden
	return e
}

func (f firstParty) answer(w http.ResponseWriter, c *clients.Client, t authz.TokenResponse) {
	p := pair{t.AccessToken, t.RefreshToken, t.TokenType, t.ExpiresIn, t.Scope, t.IDToken}
	if c.Hold == clients.HoldCookie {
		f.setRefresh(w, c, t.RefreshToken, f.refreshTTL)
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

func (f firstParty) setRefresh(w http.ResponseWriter, c *clients.Client, token string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: refreshCookieOf(c.ID), Value: token, Path: f.base + "/token", MaxAge: int(age / time.Second),
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
		if origin != "" && clients.SiteOf(origin) == f.site && f.origins.has(r.Context(), origin) {
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

// origins are those of all clients. A preflight names no client.
type origins struct {
	list func(ctx context.Context) ([]clients.Client, error)

	mu    sync.Mutex
	held  []string
	until time.Time
}

// originsHeld is for how long the origins of all clients are kept: strangers can
// ask as often as they like.
const originsHeld = 2 * time.Second

func (o *origins) has(ctx context.Context, origin string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if now := time.Now(); now.After(o.until) {
		all, err := o.list(ctx)
		if err != nil {
			return false // and the browser says that it may not
		}
		o.held, o.until = nil, now.Add(originsHeld)
		for _, c := range all {
			if !c.Disabled {
				o.held = append(o.held, c.Origins...)
			}
		}
	}
	return slices.Contains(o.held, origin)
}
