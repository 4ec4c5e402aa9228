package authz

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
)

// Introspection is the answer to an introspection request (RFC 7662 section 2.2): what
// the token says, and the name of its user. For a token that is not active it has
// Active: false and nothing else.
type Introspection struct {
	Active    bool     `json:"active"`
	Scope     string   `json:"scope,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Username  string   `json:"username,omitempty"`
	TokenType string   `json:"token_type,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"` // equals IssuedAt
	Subject   string   `json:"sub,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	ID        string   `json:"jti,omitempty"`

	// The next ones are claims of the token (RFC 9068 section 2.2).
	AuthTime int64    `json:"auth_time,omitempty"`
	ACR      string   `json:"acr,omitempty"`
	AMR      []string `json:"amr,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	GrantID  string   `json:"gid,omitempty"`

	// Caller is the client that asked; for the log.
	Caller string `json:"-"`
	// Forgeable is whether the API that asked could have made the token itself.
	Forgeable bool `json:"-"`
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

// NewIntrospector returns the introspection endpoint. standing knows what was revoked.
func NewIntrospector(authenticator *clients.Authenticator, issuer *tokens.Issuer, registry *clients.Registry, rules *grants.Rules, types *grants.Types, standing *revocation.Cuts) *Introspector {
	return &Introspector{authenticator, issuer, registry, rules, types, standing}
}

// Introspect tells a confidential client whether a token is good. The token must have
// been issued to that client, or be for an API that the client is: that it may ask for
// tokens for an API is not enough. For any other token, and for one with
// any fault, the answer is "inactive", so that nobody can use the endpoint to try out
// tokens (RFC 7662 section 4).
func (i *Introspector) Introspect(ctx context.Context, presented clients.Presented, token string) (Introspection, error) {
	caller, err := i.authenticator.Authenticate(ctx, presented)
	if err != nil {
		return Introspection{}, err
	}
	if caller.Auth == clients.None {
		// A public client has no secret, so anyone can claim to be it.
		return Introspection{Caller: caller.ID}, protocol.Refuse(protocol.InvalidClient, "A public client may not introspect tokens.")
	}
	if token == "" {
		return Introspection{Caller: caller.ID}, protocol.Refuse(protocol.InvalidRequest, "The parameter token is missing.")
	}
	access, err := i.readAccess(ctx, token, caller)
	if errors.Is(err, tokens.ErrInvalid) {
		return i.introspectRefresh(ctx, token, caller)
	}
	if err != nil {
		return Introspection{Caller: caller.ID}, err
	}
	// A client may ask about its own token, unless that is encrypted: then it is to be read
	// by its API alone.
	own := access.ClientID == caller.ID && !tokens.IsEncrypted(token)
	if !own && !intendedFor(access, caller) {
		return Introspection{Caller: caller.ID}, nil
	}
	stands, standing, err := i.standing.Stands(ctx, questionAbout(access), access.Epoch)
	if err != nil || !stands {
		return Introspection{Caller: caller.ID}, err
	}
	left, err := i.cut(ctx, &access, caller, standing)
	if err != nil || !left || !own && !intendedFor(access, caller) {
		return Introspection{Caller: caller.ID}, err
	}
	return Introspection{
		Caller: caller.ID, Forgeable: access.Alg == apis.SharedAlg,
		Active: true, Scope: joinScopes(access.Scopes), ClientID: access.ClientID, Username: standing.Username, TokenType: "Bearer",
		ExpiresAt: access.ExpiresAt.Unix(), IssuedAt: access.IssuedAt.Unix(), NotBefore: access.IssuedAt.Unix(),
		Subject: access.Subject, Audience: access.Audience, Issuer: i.issuer.URL(), ID: access.ID,
		AuthTime: tokens.Unix(access.AuthenticatedAt), ACR: access.ContextClass, AMR: access.Methods, Roles: access.Roles, GrantID: access.GrantID,
	}, nil
}

// Signed returns an answer as a JWT for the client that asked (RFC 9701), which it can keep
// as evidence. About a token that the API could have made itself there is none.
func (i *Introspector) Signed(answer Introspection) (string, error) {
	if answer.Forgeable {
		return "", protocol.Refuse(protocol.InvalidRequest, "An answer about a token with HS256 is not signed, because the API could have made the token: ask for JSON.")
	}
	return i.issuer.SignIntrospection(answer.Caller, answer)
}

// introspectRefresh tells the client that a refresh token was issued to whether it could
// be used now. The answer has no type, scope or audience: so an API that shares its
// client id with an app does not mistake the refresh token for an access token.
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

// intendedFor reports whether the token is for an API that the caller is.
func intendedFor(access tokens.Access, caller *clients.Client) bool {
	return slices.ContainsFunc(access.Audience, caller.Is)
}

// cut removes from a token the audiences and scopes that its client may no longer have,
// or that an API no longer offers. It reports whether anything is left. standing is that of
// the token.
func (i *Introspector) cut(ctx context.Context, access *tokens.Access, caller *clients.Client, standing revocation.Standing) (bool, error) {
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
	if over, err := outlived(ctx, i.rules, client, standing); err != nil || over {
		return false, err
	}
	of := permission.Granted{Audiences: access.Audience, Scopes: access.Scopes, Permissions: permission.ParseAll(standing.Permissions)}
	access.Audience, access.Scopes, err = i.rules.LeftOf(ctx, client, of)
	return len(access.Audience) > 0 && (len(access.Scopes) > 0 || len(of.Scopes) == 0), err
}

// outlived reports whether a token that stands has nevertheless ended with the login
// session of its grant: the grant was to outlive it, for offline_access, and the client
// has lost that scope. A refresh is refused then, and the thief of an access token should
// not go on after the user has signed out either.
func outlived(ctx context.Context, rules *grants.Rules, client *clients.Client, standing revocation.Standing) (bool, error) {
	if !standing.SessionEnded {
		return false, nil
	}
	may, err := rules.MayOutlive(ctx, client)
	return err == nil && !may, err
}

func questionAbout(access tokens.Access) revocation.Question {
	return revocation.Question{JTI: access.ID, ClientID: access.ClientID, KeyID: access.KeyID, SealKeyID: access.SealKeyID, GrantID: access.GrantID, UserID: access.Subject}
}

func joinScopes(scopes []string) string { return strings.Join(scopes, " ") }
