package authz

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
)

// Introspection is what an introspection request learns (RFC 7662 section
// 2.2): what the token says, and what its user is called. For a token that is not
// active it is Active: false and nothing else.
type Introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Username  string   `json:"username,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"` // when it was issued
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`

	// These are as the token has them (RFC 9068 section 2.2).
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	GrantID  string   `json:"gid,omitempty"`

	// Caller is the client that asked; for the log.
	Caller string `json:"-"`
}

// Introspector is the introspection endpoint (RFC 7662).
type Introspector struct {
	authenticator *clients.Authenticator
	issuer        *tokens.Issuer
	registry      *clients.Registry
	rules         *grants.Rules
	grants        *grants.Types
	standing      *revocation.Cuts
}

// NewIntrospector returns it. standing knows what was cut.
func NewIntrospector(authenticator *clients.Authenticator, issuer *tokens.Issuer, registry *clients.Registry, rules *grants.Rules, types *grants.Types, standing *revocation.Cuts) *Introspector {
	return &Introspector{authenticator, issuer, registry, rules, types, standing}
}

// Introspect says whether a token stands, to a confidential client that the
// token was issued to or is meant for. Everyone else, and every token that is
// not exactly in order, gets "inactive", so that the endpoint cannot be used
// to try out tokens (RFC 7662 section 4).
func (i *Introspector) Introspect(ctx context.Context, presented clients.Presented, token string) (Introspection, error) {
	caller, err := i.authenticator.Authenticate(ctx, presented)
	if err != nil {
		return Introspection{}, err
	}
	if caller.Auth == clients.None {
		// Anyone can say that they are a public client.
		return Introspection{Caller: caller.ID}, protocol.Refuse(protocol.InvalidClient, "A public client may not introspect tokens.")
	}
	if token == "" {
		return Introspection{Caller: caller.ID}, protocol.Refuse(protocol.InvalidRequest, "The parameter token is missing.")
	}
	access, err := i.issuer.ReadAccess(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		return i.introspectRefresh(ctx, token, caller)
	}
	if err != nil {
		return Introspection{Caller: caller.ID}, err
	}
	if access.ClientID != caller.ID && !intendedFor(access, caller) {
		return Introspection{Caller: caller.ID}, nil
	}
	stands, standing, err := i.standing.Stands(ctx, questionAbout(access), access.Epoch)
	if err != nil || !stands {
		return Introspection{Caller: caller.ID}, err
	}
	left, err := i.cut(ctx, &access, caller, grants.ParsePermissions(standing.Permissions))
	if err != nil || !left || access.ClientID != caller.ID && !intendedFor(access, caller) {
		return Introspection{Caller: caller.ID}, err
	}
	return Introspection{
		Caller: caller.ID,
		Active: true, Scope: joinScopes(access.Scopes), ClientID: access.ClientID, Username: standing.Username, TokenType: "Bearer",
		ExpiresAt: access.ExpiresAt.Unix(), IssuedAt: access.IssuedAt.Unix(), NotBefore: access.IssuedAt.Unix(),
		Subject: access.Subject, Audience: access.Audience, Issuer: i.issuer.URL(), ID: access.ID,
		AuthTime: tokens.Unix(access.AuthenticatedAt), ACR: access.ContextClass, AMR: access.Methods, Roles: access.Roles, GrantID: access.GrantID,
	}, nil
}

// introspectRefresh says whether a refresh token would bring tokens, to the client
// that it was issued to. It has no type, scope or audience: an API that shares its
// client id with an app, and looks at these, does not take it for an access token.
func (i *Introspector) introspectRefresh(ctx context.Context, token string, caller *clients.Client) (Introspection, error) {
	inactive := Introspection{Caller: caller.ID}
	refresh, err := i.issuer.ReadRefresh(ctx, token)
	if errors.Is(err, tokens.ErrInvalid) {
		return inactive, nil
	}
	if err != nil {
		return inactive, err
	}
	g, live, err := i.grants.Refreshes(ctx, refresh, caller)
	if err != nil || !live {
		return inactive, err
	}
	return Introspection{
		Caller: caller.ID,
		Active: true, ClientID: refresh.ClientID, Subject: g.UserID, Issuer: i.issuer.URL(), GrantID: g.ID,
		ExpiresAt: refresh.ExpiresAt.Unix(), IssuedAt: refresh.IssuedAt.Unix(), NotBefore: refresh.IssuedAt.Unix(),
		AuthTime: tokens.Unix(g.AuthenticatedAt), ACR: g.ContextClass, AMR: g.Methods,
	}, nil
}

// intendedFor reports whether the token's audience is one of the caller's: a
// resource server is registered as a client with its own API as audience, or
// is itself the audience.
func intendedFor(access tokens.Access, caller *clients.Client) bool {
	return slices.ContainsFunc(access.Audience, func(audience string) bool {
		return audience == caller.ID || slices.Contains(caller.Audiences, audience)
	})
}

// cut takes from a token what its client may have no longer, or an API has stopped
// to offer, since it was issued. It reports whether anything is left.
func (i *Introspector) cut(ctx context.Context, access *tokens.Access, caller *clients.Client, recorded []grants.Permission) (bool, error) {
	client, err := caller, error(nil)
	if access.ClientID != caller.ID {
		client, err = i.registry.Client(ctx, access.ClientID)
	}
	if errors.Is(err, clients.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	of := grants.Granted{Audiences: access.Audience, Scopes: access.Scopes, Permissions: recorded}
	access.Audience, access.Scopes, err = i.rules.LeftOf(ctx, client, of)
	return len(access.Audience) > 0 && (len(access.Scopes) > 0 || len(of.Scopes) == 0), err
}

func questionAbout(access tokens.Access) revocation.Question {
	return revocation.Question{JTI: access.ID, ClientID: access.ClientID, KeyID: access.KeyID, GrantID: access.GrantID, UserID: access.Subject}
}

func joinScopes(scopes []string) string { return strings.Join(scopes, " ") }
