package grants

import (
	"slices"
	"time"

	"github.com/ory/fosite"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/tokens"
)

// Session is what one token request gathers on its way.
type Session struct {
	// Scope is the parameter of that name, and Targets are those of
	// TargetParameters, as they came.
	Scope   string
	Targets map[string][]string
	// SignIn is whether a first-party client signs someone in by itself: then it
	// may use codes and refresh tokens, which it does not see.
	SignIn bool

	// Access is the access token that was made, once it is; AccessToken,
	// RefreshToken and IDToken are what was signed. (fosite's own handler keeps
	// the access token to its response.)
	Access                             tokens.Access
	AccessToken, RefreshToken, IDToken string

	// What a grant found when it handled the request, for when it answers.
	decision Decision
	codeHash [32]byte
	code     Code
	refresh  tokens.Refresh
	grant    Standing
	user     *accounts.User // once it was read

	expires map[fosite.TokenType]time.Time
}

var _ fosite.Session = (*Session)(nil)

// SetExpiresAt is how fosite's handlers note lifespans. What the tokens say is
// decided by the issuer, on the injected clock.
func (s *Session) SetExpiresAt(key fosite.TokenType, at time.Time) {
	if s.expires == nil {
		s.expires = make(map[fosite.TokenType]time.Time, 1)
	}
	s.expires[key] = at
}

func (s *Session) GetExpiresAt(key fosite.TokenType) time.Time { return s.expires[key] }
func (s *Session) GetUsername() string                         { return "" }
func (s *Session) GetSubject() string                          { return s.Access.Subject }

// Clone copies by hand: fosite's reflection takes a hundred times as long.
func (s *Session) Clone() fosite.Session {
	c := *s
	c.expires = nil
	for k, v := range s.expires {
		c.SetExpiresAt(k, v)
	}
	c.Access.Audience = slices.Clone(s.Access.Audience)
	c.Access.Scopes = slices.Clone(s.Access.Scopes)
	return &c
}

// may reports whether a client may use a grant type. One that signs people in by
// itself gets codes for it and, with them, refresh tokens; unless its browser holds
// those, it uses both itself.
func (s *Session) may(c *Client, grant string) bool {
	if slices.Contains(c.Grants, grant) {
		return true
	}
	own := grant == clients.AuthorizationCode || grant == clients.RefreshToken
	return own && slices.Contains(c.Grants, clients.SignIn) && (s.SignIn || c.Hold == clients.HoldMemory)
}

// Client is a client as fosite sees one.
type Client struct{ *clients.Client }

var _ fosite.Client = (*Client)(nil)

func (c *Client) GetID() string                      { return c.ID }
func (c *Client) GetHashedSecret() []byte            { return nil } // authentication is package clients' own
func (c *Client) GetRedirectURIs() []string          { return c.RedirectURIs }
func (c *Client) GetGrantTypes() fosite.Arguments    { return c.Grants }
func (c *Client) GetResponseTypes() fosite.Arguments { return nil }
func (c *Client) GetScopes() fosite.Arguments        { return c.Scopes }
func (c *Client) GetAudience() fosite.Arguments      { return c.Audiences }
func (c *Client) IsPublic() bool                     { return c.Auth == clients.None }
