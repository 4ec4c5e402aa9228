package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
)

// cookies are the names of three cookies: of the login session, of the device (which is
// remembered after the session has ended), and of the language that the person chose.
type cookies struct {
	session, device, language string
	path                      string
	secure                    bool
}

// newCookies chooses names whose prefix makes browsers protect the cookies (RFC 6265bis
// section 4.1.3). With __Host-, a server of a sibling domain, or one without TLS,
// cannot plant a cookie and so sign a visitor in to the attacker's account. That prefix
// requires a server at the root of its host.
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

// signedIn sets the cookies of a new sign-in.
func (c cookies) signedIn(w http.ResponseWriter, in signin.SignedIn) {
	c.set(w, c.session, in.Secret, 0)
	c.set(w, c.device, in.Device, sessions.DeviceLife)
}

// visitor returns where a sign-in attempt comes from.
func (c cookies) visitor(r *http.Request) signin.Visitor {
	v := signin.Visitor{Address: written(from(r)), UserAgent: r.UserAgent()}
	if device, err := r.Cookie(c.device); err == nil {
		v.Device = device.Value
	}
	return v
}

// browsers finds the user of a browser by its cookies.
type browsers struct {
	cookies  cookies
	sessions *sessions.Sessions
}

// session returns the login session of the browser, or nil if there is none.
func (b browsers) session(r *http.Request) (*sessions.Session, accounts.User, error) {
	c, err := r.Cookie(b.cookies.session)
	if err != nil {
		return nil, accounts.User{}, nil
	}
	s, u, err := b.sessions.Find(r.Context(), c.Value)
	if errors.Is(err, sessions.ErrNotFound) {
		return nil, accounts.User{}, nil
	}
	if err != nil {
		return nil, accounts.User{}, err
	}
	return &s, u, nil
}
