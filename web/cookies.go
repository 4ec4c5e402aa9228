package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
)

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
func (c cookies) signedIn(w http.ResponseWriter, in signin.SignedIn) {
	c.set(w, c.session, in.Secret, 0)
	c.set(w, c.device, in.Device, sessions.DeviceLife)
}

// visitor returns where a request comes from.
func (c cookies) visitor(r *http.Request) signin.Visitor {
	v := signin.Visitor{Address: written(from(r)), UserAgent: r.UserAgent()}
	if device, err := r.Cookie(c.device); err == nil {
		v.Device = device.Value
	}
	return v
}

// browsers tells by its cookies whose a browser is.
type browsers struct {
	cookies  cookies
	sessions *sessions.Sessions
}

// session returns the login session of the browser; nil if there is none.
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
