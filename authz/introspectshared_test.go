package authz_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// sharing is a house with an API that shares a secret with the server.
type sharing struct {
	*tokenEndpoints
	// api is that API, other is another one that shares a secret, and usual is one that
	// does not: each as the client that it is.
	api, other, usual clients.Presented
	secret            apis.Secret
	knows             []byte
	client            *clients.Client
}

// removed checks what the removal of a secret returned.
func (s *sharing) removed(_ apis.Secret, err error) {
	s.Helper()
	s.Must(err)
}

const ofShared = "https://shared.test"

func newSharing(t *testing.T) *sharing {
	t.Helper()
	s := &sharing{tokenEndpoints: newTokenEndpoints(t)}
	s.secret = s.shares(ofShared)
	s.shares("https://other.test")
	var err error
	s.knows, err = base64.RawURLEncoding.DecodeString(s.secret.Shown)
	s.Must(err)
	s.api, s.other, s.usual = s.is(ofShared), s.is("https://other.test"), s.is("https://api.test")
	_, _, err = s.registry.Update(t.Context(), "app", func(c *clients.Client) error {
		c.Audiences, c.Scopes = []string{ofShared, "https://api.test"}, []string{"openid", "use", "read"}
		return nil
	}, "", audit.Server)
	s.Must(err)
	s.client = s.Again("app")
	return s
}

func (s *sharing) shares(audience string) apis.Secret {
	s.Helper()
	a, err := s.APIs.Create(s.Context(), apis.API{Audience: audience, Name: audience, Scopes: []string{"use"}, Signing: apis.Signing{Alg: apis.SharedAlg}}, "", audit.Server)
	s.Must(err)
	made, ok := a.NewSecret()
	if !ok || !made.Signs {
		s.Fatalf("%+v", a)
	}
	return made
}

// is returns the credentials of an API.
func (s *sharing) is(audience string) clients.Presented {
	s.Helper()
	id := "is " + strings.TrimPrefix(audience, "https://")
	id = strings.ReplaceAll(id, " ", "-")
	s.Client(id, func(c *clients.Client) {
		c.Grants, c.RedirectURIs, c.Scopes, c.Audiences = nil, nil, nil, []string{audience}
	})
	_, secret, err := s.registry.AddSecret(s.Context(), id, "", "", audit.Server)
	s.Must(err)
	return clients.Presented{ID: id, Secret: secret}
}

// signedIn returns tokens for the API, by the code flow.
func (s *sharing) signedIn() grants.Issued {
	s.Helper()
	issued, err := s.Redeem(s.client, s.Code(s.SignIn("minji"), "app", func(c *grants.Code) {
		c.Scopes, c.Audiences = []string{"openid", "use"}, []string{ofShared}
		c.Permissions = []permission.Permission{{Scope: "openid"}, {Audience: ofShared, Scope: "use"}}
	}))
	s.Must(err)
	return issued
}

// forged is a token that the API makes: this one, with other claims and perhaps another
// header or secret.
func (s *sharing) forged(token string, header, claims map[string]any, secret []byte) string {
	s.Helper()
	parts := strings.Split(token, ".")
	for i, changes := range []map[string]any{header, claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		s.Must(err)
		var all map[string]any
		s.Must(json.Unmarshal(b, &all))
		maps.Copy(all, changes)
		b, err = json.Marshal(all)
		s.Must(err)
		parts[i] = base64.RawURLEncoding.EncodeToString(b)
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(parts[0] + "." + parts[1]))
	return parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s *sharing) ask(who clients.Presented, token string) authz.Introspection {
	s.Helper()
	answer, err := s.introspection.Introspect(s.Context(), who, token)
	s.Must(err)
	return answer
}

func TestATokenOfASharedSecretIsForItsAPIAloneAndNoOtherEndpoint(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	issued := s.signedIn()
	own, err := s.Ask(s.client, clients.ClientCredentials, "resource", ofShared)
	s.Must(err)
	for what, token := range map[string]string{"of a user": issued.AccessToken, "of a client": own.AccessToken} {
		if kid, ok := tokens.SharedKID(token); !ok || kid != s.secret.ID {
			t.Errorf("%s: kid %q", what, kid)
		}
		for who, presented := range map[string]clients.Presented{"the API": s.api, "another API with a secret": s.other, "another API": s.usual, "the client": s.app} {
			if answer := s.ask(presented, token); answer.Active != (who == "the API") || !answer.Active && answer.Subject != "" {
				t.Errorf("%s, %s: %+v", what, who, answer)
			}
		}
		_, _, err := s.userInfo.Claims(t.Context(), token)
		wantRefused(t, what+": userinfo", err, protocol.InvalidToken)
		before := s.State()
		if _, err := s.revocation.Revoke(t.Context(), s.app, token); err != nil {
			t.Errorf("%s: revocation says %v", what, err)
		}
		if !s.ask(s.api, token).Active || s.State() != before {
			t.Errorf("%s: whoever knows the secret can revoke", what)
		}
		if _, err := s.Refresh(s.client, token); err == nil {
			t.Errorf("%s: it is a refresh token", what)
		}
		if err := s.firstParty.SignOut(t.Context(), s.client, token); err == nil && s.State() != before {
			t.Errorf("%s: it signs out", what)
		}
		for _, typ := range []string{tokens.AccessType, tokens.IDType} {
			hint := s.forged(token, map[string]any{"typ": typ}, map[string]any{"aud": "app"}, s.knows)
			if _, err := s.Types.Issuer.ReadHint(t.Context(), hint); !errors.Is(err, tokens.ErrInvalid) {
				t.Errorf("%s: as a hint: %v", what, err)
			}
		}
		request, err := authz.NewEndSession(s.Types.Issuer, s.registry).Parse(t.Context(), url.Values{"id_token_hint": {token}})
		if err != nil || request.Client != nil || request.SessionID != "" {
			t.Errorf("%s: end of session: %+v, %v", what, request, err)
		}
	}
	answer := s.ask(s.api, issued.AccessToken)
	if !slices.Equal(answer.Audience, []string{ofShared}) || answer.Subject != "minji" || answer.Username != "minji" || answer.ClientID != "app" || answer.Scope != "openid use" {
		t.Errorf("%+v", answer)
	}
	_, err = s.introspection.Signed(answer)
	wantRefused(t, "a signed answer, which would be evidence", err, protocol.InvalidRequest)
	if issued.IDToken == "" {
		t.Error("there is no ID token, and userinfo does not take the access token")
	}
	// The client revokes by its refresh token.
	if _, err := s.revocation.Revoke(t.Context(), s.app, issued.RefreshToken); err != nil {
		t.Fatal(err)
	}
	if s.ask(s.api, issued.AccessToken).Active {
		t.Error("it outlives its grant")
	}
}

func TestAnAPICanForgeNothingButTokensForItself(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	s.User("yuna")
	token := s.signedIn().AccessToken
	usual, err := s.Ask(s.client, clients.ClientCredentials, "resource", "https://api.test")
	s.Must(err)
	elsewhere, err := s.Redeem(s.client, s.Code(s.SignIn("yuna"), "app", func(c *grants.Code) {
		c.Scopes, c.Audiences = []string{"openid", "read"}, []string{"https://api.test"}
		c.Permissions = []permission.Permission{{Scope: "openid"}, {Audience: "https://api.test", Scope: "read"}}
	}))
	s.Must(err)
	other := slices.Clone(s.knows)
	other[0]++
	forge := func(header, claims map[string]any) string { return s.forged(token, header, claims, s.knows) }
	if !s.ask(s.api, forge(nil, nil)).Active {
		t.Error("it cannot make what it knows")
	}
	for what, bad := range map[string]string{
		"another user":             forge(nil, map[string]any{"sub": "yuna"}),
		"another client":           forge(nil, map[string]any{"client_id": "is-api.test"}),
		"a user without a grant":   forge(nil, map[string]any{"gid": "", "sub": "yuna"}),
		"a grant that is not one":  forge(nil, map[string]any{"gid": "x"}),
		"a grant for another API":  forge(nil, map[string]any{"gid": elsewhere.Access.GrantID, "sub": "yuna"}),
		"for another API":          forge(nil, map[string]any{"aud": "https://api.test"}),
		"for a second API":         forge(nil, map[string]any{"aud": []string{ofShared, "https://api.test"}}),
		"for nobody":               forge(nil, map[string]any{"aud": []string{}}),
		"another issuer":           forge(nil, map[string]any{"iss": "https://evil.test"}),
		"expired":                  forge(nil, map[string]any{"exp": time.Now().Add(-time.Minute).Unix()}),
		"another typ":              forge(map[string]any{"typ": "rt+jwt"}, nil),
		"HS384":                    forge(map[string]any{"alg": "HS384"}, nil),
		"HS512":                    forge(map[string]any{"alg": "HS512"}, nil),
		"RS256 under its kid":      forge(map[string]any{"alg": "RS256"}, nil),
		"ES256 under its kid":      forge(map[string]any{"alg": "ES256"}, nil),
		"none":                     forge(map[string]any{"alg": "none"}, nil),
		"no kid":                   forge(map[string]any{"kid": ""}, nil),
		"a ring's kid":             forge(map[string]any{"kid": s.kidOf(usual.AccessToken)}, nil),
		"another secret":           s.forged(token, nil, nil, other),
		"a ring's kid under HS256": s.forged(usual.AccessToken, map[string]any{"alg": "HS256"}, map[string]any{"aud": ofShared}, s.knows),
	} {
		for who, presented := range map[string]clients.Presented{"the API": s.api, "another API": s.usual, "the client": s.app} {
			if answer := s.ask(presented, bad); answer.Active {
				t.Errorf("%s, %s: %+v", what, who, answer)
			}
		}
	}
}

// kidOf returns the kid in the header of a token.
func (s *sharing) kidOf(token string) string {
	s.Helper()
	access, err := s.Types.Issuer.ReadAccess(s.Context(), token)
	s.Must(err)
	return access.KeyID
}
