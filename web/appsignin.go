package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
)

// appSignIn signs people in for apps of whoever runs the server, which ask for the
// password themselves: JSON in, tokens out. It is the same sign-in, the same grants and
// the same refresh as everywhere; what differs is how an app is answered.
type appSignIn struct {
	signIn   *signin.SignIn
	sessions *sessions.Sessions
	cookies  cookies
}

// visitor returns where an attempt to sign in comes from. An app that keeps what
// it was given says by which device; a backend, which is where all its users come
// from, says what address they have.
func (s appSignIn) visitor(r *http.Request, c *clients.Client, device, address string) (signin.Visitor, error) {
	v := s.cookies.visitor(r)
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
		from, err := netip.ParseAddr(address)
		if err != nil {
			return v, protocol.Refuse(protocol.InvalidRequest, "The address is not an IP address.")
		}
		v.Address = written(subscriber(from))
	}
	v.Shared = c.Auth != clients.None && address == ""
	return v, nil
}

// begin signs someone in. Returns signin.ErrWrong.
func (s appSignIn) begin(r *http.Request, name, password string, from signin.Visitor) (signin.SignedIn, error) {
	in, err := s.signIn.Do(r.Context(), name, password, from)
	recordOf(r).triedSignIn(err)
	refused := func(code protocol.Code, why string) error {
		e := protocol.Refuse(code, "%s Try again in %d seconds.", why, wholeSecondsUp(waitOf(err)))
		e.Cause = err
		return e
	}
	switch unheard(err) {
	case "too many":
		err = refused(protocol.AccessDenied, "Too many failed attempts to sign in.")
	case "crowded":
		err = refused(protocol.TemporarilyUnavailable, "Too many people are signing in at once.")
	}
	return in, err
}

// unfinished ends a session for which the app gets nothing.
func (s appSignIn) unfinished(r *http.Request, session sessions.Session, err error) error {
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
	defer cancel()
	if ending := s.sessions.EndApp(ctx, session.ClientID, session.ID, "the sign-in was not finished"); ending != nil {
		err = errors.Join(err, ending)
	}
	if errors.Is(err, sessions.ErrNotFound) || errors.Is(err, grants.ErrNotFound) {
		// Answered like a wrong password: the user was cut meanwhile.
		cut := &signin.WrongError{UserID: session.UserID, Reason: signin.ReasonCut}
		recordOf(r).triedSignIn(cut)
		recordOf(r).err = err
		return cut
	}
	return err
}
