package web

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
)

// appSignIn signs people in through first-party apps: apps of the operator of this
// server, which ask for the password themselves. They send JSON and get tokens. The
// sign-in, the grants and the refresh are the same as everywhere; only the form of the
// answers differs.
type appSignIn struct {
	signIn   *signin.SignIn
	sessions *sessions.Sessions
	cookies  cookies
}

// visitor returns where a sign-in attempt comes from, for counting failures. An app
// that stores its tokens names its device. A backend, from which the attempts of all
// its users come, names the user's address.
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
			// Otherwise anyone could name an address, and guess passwords from as many
			// as they like.
			return v, protocol.Refuse(protocol.InvalidRequest, "Only a client with a secret may say which address a user has.")
		}
		from, err := netip.ParseAddr(address)
		if err != nil {
			return v, protocol.Refuse(protocol.InvalidRequest, "The address is not an IP address.")
		}
		v.Address, v.Told = written(subscriber(from)), true
	}
	v.Shared = c.Auth != clients.None && address == ""
	return v, nil
}

// begin signs a user in. Returns signin.ErrWrong or errMustChange.
func (s appSignIn) begin(r *http.Request, name, password string, from signin.Visitor) (signin.SignedIn, error) {
	in, err := s.signIn.Do(r.Context(), name, password, from)
	recordOf(r).triedSignIn(err)
	refused := func(code protocol.Code, why string) error {
		e := protocol.Refuse(code, "%s Try again in %d seconds.", why, wholeSecondsUp(waitOf(err)))
		e.Cause = err
		return e
	}
	if must := (*signin.MustChangeError)(nil); errors.As(err, &must) {
		return in, errMustChange
	}
	switch unheard(err) {
	case "too many":
		err = refused(protocol.AccessDenied, "Too many failed attempts to sign in.")
	case "crowded":
		err = refused(protocol.TemporarilyUnavailable, "Too many people are signing in at once.")
	}
	return in, err
}

// unfinished ends a session after a failure, when the app gets no tokens for it.
func (s appSignIn) unfinished(r *http.Request, session sessions.Session, err error) error {
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 2*time.Second)
	defer cancel()
	if ending := s.sessions.EndApp(ctx, session.ClientID, session.ID, "the sign-in was not finished", audit.Server); ending != nil {
		err = errors.Join(err, ending)
	}
	if errors.Is(err, sessions.ErrNotFound) || errors.Is(err, grants.ErrNotFound) {
		// The user was cut (revoked) meanwhile. The answer is the same as for a wrong
		// password.
		cut := &signin.WrongError{UserID: session.UserID, Reason: signin.ReasonCut}
		recordOf(r).triedSignIn(cut)
		recordOf(r).err = err
		return cut
	}
	return err
}
