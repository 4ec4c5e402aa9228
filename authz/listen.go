package authz

import (
	"context"
	"crypto/rand"
	"errors"
	"regexp"
	"slices"
	"strconv"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/status/listeners"
)

var verifierSyntax = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,100}$`)

// StatusEvents is the endpoint of the status stream: resource servers connect to it to
// be told of revocations at once, and acknowledge what they have applied.
type StatusEvents struct {
	authenticator *clients.Authenticator
	registry      *clients.Registry
	store         listeners.Store
}

// NewStatusEvents returns the endpoint of the status stream. store keeps who listens.
func NewStatusEvents(authenticator *clients.Authenticator, registry *clients.Registry, store listeners.Store) *StatusEvents {
	return &StatusEvents{authenticator, registry, store}
}

// Listen admits a resource server to the status stream and returns its listener, which
// is not stored yet. Only credentials of APIs are admitted: the stream's content is
// public, but `ingam revoke --wait` waits for every listener, so a stranger could hold
// it up. verifier is the name that the process goes by, which replicas may share;
// instance distinguishes it from them.
func (s *StatusEvents) Listen(ctx context.Context, presented clients.Presented, verifier, instance string) (listeners.Listener, error) {
	client, secret, err := s.resourceServer(ctx, presented)
	if err != nil {
		return listeners.Listener{ClientID: client}, err
	}
	l := listeners.Listener{ID: rand.Text(), ClientID: client, SecretID: secret, Name: verifier, Instance: instance}
	if l.Name == "" {
		l.Name = l.ID
	}
	if !verifierSyntax.MatchString(l.Name) {
		return l, protocol.Refuse(protocol.InvalidRequest, "The parameter verifier is not 1 to 100 letters, digits and .-_: characters.")
	}
	if instance != "" && !verifierSyntax.MatchString(instance) {
		return l, protocol.Refuse(protocol.InvalidRequest, "The parameter instance is not 1 to 100 letters, digits and .-_: characters.")
	}
	return l, nil
}

// MayListen reports whether a listener that is connected to the stream may stay: its client
// is enabled and still an API, and the secret that opened the connection is still one of the client's. If
// that was stolen and is removed, the thief can no longer acknowledge, and every revocation
// would wait for them.
func (s *StatusEvents) MayListen(ctx context.Context, l listeners.Listener) bool {
	c, err := s.registry.Client(ctx, l.ClientID)
	return err == nil && !c.Disabled && c.MayListen() && slices.ContainsFunc(c.Secrets, func(live clients.Secret) bool { return live.ID == l.SecretID })
}

// Acknowledge records that a listener has applied every event up to id. If leaving is
// "true", it removes the listener instead: nobody need wait for it any more. Both are
// parameters that the listener sent. It returns the client that asked, once known, for
// the log, and the number that was acknowledged.
func (s *StatusEvents) Acknowledge(ctx context.Context, presented clients.Presented, listener, id, leaving string) (caller string, n changes.Number, err error) {
	caller, _, err = s.resourceServer(ctx, presented)
	if err != nil {
		return caller, 0, err
	}
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil || number < 0 {
		return caller, 0, protocol.Refuse(protocol.InvalidRequest, "The parameter id is not the id of an event.")
	}
	switch leaving {
	case "":
		err = s.store.Acknowledge(ctx, listener, caller, changes.Number(number))
	case "true":
		number, err = 0, s.store.RemoveListener(ctx, listener, caller)
	default:
		return caller, 0, protocol.Refuse(protocol.InvalidRequest, "The parameter leaving is true or is left out.")
	}
	if errors.Is(err, listeners.ErrNotFound) {
		e := protocol.Refuse(protocol.InvalidRequest, "The listener is not known (any more): connect again.")
		e.Cause = err
		return caller, 0, e
	}
	return caller, changes.Number(number), err
}

// resourceServer authenticates a client that is an API. It also returns the id of the
// secret that the client showed.
func (s *StatusEvents) resourceServer(ctx context.Context, presented clients.Presented) (id, secretID string, err error) {
	client, secretID, err := s.authenticator.AuthenticateBy(ctx, presented)
	if err != nil {
		return "", "", err
	}
	if client.Auth == clients.None {
		return client.ID, "", protocol.Refuse(protocol.InvalidClient, "A public client may not do this: anyone can say that they are one.")
	}
	if !client.MayListen() {
		return client.ID, "", protocol.Refuse(protocol.UnauthorizedClient, "The client is not registered as an API (ingam client update ID --introspects AUDIENCE).")
	}
	return client.ID, secretID, nil
}
