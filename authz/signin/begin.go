package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/sessions"
)

// begin begins a login session of a user who has proved who they are. If the user has a
// session in this browser already, that one is renewed, so that signing in again for one
// client ends nothing at the others. device is the user's part of the visitor's Device;
// may be empty.
func (s *SignIn) begin(ctx context.Context, u accounts.User, p proof, device string, from Visitor) (in SignedIn, err error) {
	devices := devicesOf(from.Device)
	if from.ClientID != "" {
		// They are read before the new session is stored. Otherwise two sign-ins at
		// the same time could end each other's session.
		for _, d := range devices {
			former, err := s.store.AppSessions(ctx, from.ClientID, sha256.Sum256([]byte(d)))
			if err != nil {
				return SignedIn{}, err
			}
			in.Former = append(in.Former, former...)
		}
	}
	if device == "" {
		// The values that came are not used for this user: somebody else may know
		// them, who used this device before, set the cookie or invented the value.
		device = rand.Text()
	}
	devices = append(slices.DeleteFunc(devices, func(d string) bool { return d == device }), device)
	in.User, in.Device = u, strings.Join(devices[max(0, len(devices)-mostDevices):], deviceSeparator)
	in.Secret = rand.Text() + rand.Text()
	in.Session = s.sessions.Fresh(u, p.methods, p.contextClass)
	in.Session.Address, in.Session.UserAgent, in.Session.ClientID = from.Address, from.UserAgent, from.ClientID
	in.Session, err = s.save(ctx, in.Session, from, in.Secret, device)
	if errors.Is(err, accounts.ErrNotFound) {
		return SignedIn{}, &WrongError{u.ID, ReasonCut}
	}
	if err != nil {
		return SignedIn{}, err
	}
	return in, nil
}

// save stores a session under the hashes of its two secrets. If the visitor's session stands
// and is the same user's, it renews that one instead.
func (s *SignIn) save(ctx context.Context, n sessions.Session, from Visitor, secret, device string) (sessions.Session, error) {
	ev := audit.Event{
		At: n.CreatedAt, Actor: audit.User(n.UserID), Action: audit.SessionBegun, Subject: n.ID,
		Details: map[string]string{"user": n.UserID},
	}
	if from.Told {
		ev.Details["user_address"] = n.Address
	}
	if n.ClientID != "" {
		ev.Details["client_id"] = n.ClientID
	}
	secretHash, deviceHash := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(device))
	if from.Session != "" {
		renewed, again := n, ev
		renewed.ID, again.Subject = from.Session, from.Session
		err := s.store.RenewSession(ctx, renewed, secretHash, deviceHash, again)
		if !errors.Is(err, sessions.ErrNotFound) {
			return renewed, err
		}
	}
	return n, s.store.BeginSession(ctx, n, secretHash, deviceHash, ev)
}

// Knows reports whether a user has signed in with a device.
func (s *SignIn) Knows(ctx context.Context, user, device string) (bool, error) {
	known, err := s.deviceOf(ctx, user, device)
	return known != "", err
}

// deviceOf returns the part of a device's value that is the user's; empty if none is. It
// looks up all parts, so that it takes the same time for everyone.
func (s *SignIn) deviceOf(ctx context.Context, user, value string) (device string, err error) {
	for _, d := range devicesOf(value) {
		known, err := s.store.KnownDevice(ctx, user, sha256.Sum256([]byte(d)))
		if err != nil {
			return "", err
		}
		if known {
			device = d
		}
	}
	return device, nil
}

// devicesOf splits the value by which a device is known into its parts: one for each of
// the last users who signed in there. A user does not know the part of those who come
// later.
func devicesOf(value string) []string {
	var devices []string
	for _, d := range strings.SplitN(value, deviceSeparator, mostDevices+1) {
		if len(d) == deviceLength && len(devices) < mostDevices {
			devices = append(devices, d)
		}
	}
	return devices
}

const (
	deviceSeparator = "."
	deviceLength    = 26 // rand.Text
	mostDevices     = 5
)
