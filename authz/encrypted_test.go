package authz_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/keys"
)

const secretAPI = "https://secret.test"

// encrypted are the token endpoints with an API whose tokens are encrypted, of which app
// may have some.
type encrypted struct {
	*tokenEndpoints
	private *ecdsa.PrivateKey
	ring    *keys.Keyring
	// api is the credentials of the API itself.
	api clients.Presented
}

func newEncrypted(t *testing.T) *encrypted {
	t.Helper()
	e := &encrypted{tokenEndpoints: newTokenEndpoints(t)}
	var err error
	e.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	e.Must(err)
	jwk, err := jose.JSONWebKey{Key: e.private.Public()}.MarshalJSON()
	e.Must(err)
	_, err = e.APIs.Create(t.Context(), apis.API{Audience: secretAPI, Name: "Secret", Scopes: []string{"use"}, Roles: true, EncryptionJWK: string(jwk)}, "", audit.Server)
	e.Must(err)
	_, _, err = e.registry.Update(t.Context(), "app", func(c *clients.Client) error {
		c.Audiences, c.Scopes = append(c.Audiences, secretAPI), append(c.Scopes, "use")
		return nil
	}, "", audit.Server)
	e.Must(err)
	e.ring = e.APIs.Rings.(*keys.Keyring)
	_, secret, err := e.registry.Create(t.Context(), clients.Client{ID: "api", Name: "API", Auth: clients.SecretBasic, Introspects: []string{secretAPI}}, "", "", audit.Server)
	e.Must(err)
	e.api = clients.Presented{ID: "api", Secret: secret}
	return e
}

// ofUser returns a token of a user for the API, and its grant.
func (e *encrypted) ofUser() grants.Issued {
	e.Helper()
	code := e.Code(e.SignIn("minji"), "app", func(c *grants.Code) {
		c.Scopes, c.Audiences = []string{"openid", "use"}, []string{secretAPI}
		c.Permissions = []permission.Permission{{Scope: "openid"}, {Audience: secretAPI, Scope: "use"}}
	})
	issued, err := e.Redeem(e.Again("app"), code)
	e.Must(err)
	return issued
}

// ofClient returns a token of app itself for the API.
func (e *encrypted) ofClient() grants.Issued {
	e.Helper()
	issued, err := e.Ask(e.Again("app"), clients.ClientCredentials, "resource", secretAPI)
	e.Must(err)
	return issued
}

func (e *encrypted) introspect(token string) authz.Introspection {
	e.Helper()
	answer, err := e.introspection.Introspect(e.Context(), e.api, token)
	e.Must(err)
	return answer
}

func (e *encrypted) wantActive(what, token string, want bool) {
	e.Helper()
	answer := e.introspect(token)
	if answer.Active != want || !want && !cmp.Equal(answer, authz.Introspection{Caller: "api"}) {
		e.Errorf("%s: %+v", what, answer)
	}
}

// inside decrypts a token.
func (e *encrypted) inside(token string) string {
	e.Helper()
	jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A256GCM})
	e.Must(err)
	signed, err := jwe.Decrypt(e.private)
	e.Must(err)
	return string(signed)
}

// headerOf returns the header of a token.
func (e *encrypted) headerOf(token string) map[string]any {
	e.Helper()
	first, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	e.Must(err)
	var h map[string]any
	e.Must(json.Unmarshal(b, &h))
	return h
}

// strangers encrypts a text to the API as anyone can, with further members in the header.
func (e *encrypted) strangers(text string, further map[string]any) string {
	e.Helper()
	o := (&jose.EncrypterOptions{}).WithContentType("JWT")
	for name, value := range further {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: jose.ECDH_ES, Key: e.private.Public()}, o)
	e.Must(err)
	jwe, err := encrypter.Encrypt([]byte(text))
	e.Must(err)
	token, err := jwe.CompactSerialize()
	e.Must(err)
	return token
}

func TestAnEncryptedTokenIsIntrospectedAsASignedOneIs(t *testing.T) {
	t.Parallel()
	e := newEncrypted(t)
	for what, token := range map[string]string{"of a user": e.ofUser().AccessToken, "of a client": e.ofClient().AccessToken} {
		answer := e.introspect(token)
		if diff := cmp.Diff(e.introspect(e.inside(token)), answer); diff != "" || !answer.Active || !cmp.Equal(answer.Audience, []string{secretAPI}) {
			t.Errorf("%s: %s; %+v", what, diff, answer)
		}
		if h := e.headerOf(token); h["jti"] != answer.ID || h["cty"] != "JWT" || h["enc"] != "A256GCM" || h["alg"] != "ECDH-ES" || h["kid"] != nil {
			t.Errorf("%s: %v", what, h)
		}
		_, _, err := e.userInfo.Claims(t.Context(), token)
		wantRefused(t, what+": userinfo", err, protocol.InvalidToken)
	}
	// The client that it was issued to is not to read it, nor is any other.
	for what, token := range map[string]string{"of a user": e.ofUser().AccessToken, "of a client": e.ofClient().AccessToken} {
		if answer, err := e.introspection.Introspect(t.Context(), e.app, token); err != nil || answer.Active {
			t.Errorf("%s, to its client: %+v %v", what, answer, err)
		}
	}
	e.Client("other")
	_, secret, err := e.registry.AddSecret(t.Context(), "other", "", "", audit.Server)
	e.Must(err)
	if answer, err := e.introspection.Introspect(t.Context(), clients.Presented{ID: "other", Secret: secret}, e.ofClient().AccessToken); err != nil || answer.Active {
		t.Errorf("another client: %+v %v", answer, err)
	}
}

func TestTheHeaderOfAStrangerProvesNothing(t *testing.T) {
	t.Parallel()
	e, elsewhere := newEncrypted(t), newEncrypted(t)
	real := e.ofClient()
	h := e.headerOf(real.AccessToken)
	signed := e.inside(real.AccessToken)
	second := e.headerOf(e.ofClient().AccessToken)
	for what, token := range map[string]string{
		"an invented header":                  e.strangers(signed, map[string]any{"jti": real.Access.ID, "client_id": "app", "sub": "app", "active": true}),
		"no further header":                   e.strangers(signed, nil),
		"an invented member":                  e.strangers(signed, map[string]any{"jti": real.Access.ID, "ing": "AAAA.BBBB"}),
		"a member of another token":           e.strangers(signed, map[string]any{"jti": real.Access.ID, "ing": second["ing"]}),
		"a member that is no text":            e.strangers(signed, map[string]any{"jti": real.Access.ID, "ing": []string{"x"}}),
		"of another deployment":               elsewhere.ofClient().AccessToken,
		"a member of another deployment":      e.strangers(signed, map[string]any{"jti": real.Access.ID, "ing": elsewhere.headerOf(elsewhere.ofClient().AccessToken)["ing"]}),
		"a signed token in five parts":        signed + "..",
		"a signed token, encrypted by nobody": ".." + signed,
	} {
		e.wantActive(what, token, false)
		if _, err := e.revocation.Revoke(t.Context(), e.app, token); err != nil {
			t.Errorf("%s: revoking it: %v", what, err)
		}
	}
	e.wantActive("after all this", real.AccessToken, true)
	// With a real member the answer is about the real token, whatever is inside.
	copied := e.strangers("something else", map[string]any{"jti": h["jti"], "ing": h["ing"]})
	if diff := cmp.Diff(e.introspect(real.AccessToken), e.introspect(copied)); diff != "" {
		t.Error(diff)
	}
}

func TestAnEncryptedTokenIsRevoked(t *testing.T) {
	t.Parallel()
	e := newEncrypted(t)
	revoke := func(token string) {
		t.Helper()
		_, err := e.revocation.Revoke(t.Context(), e.app, token)
		e.Must(err)
	}
	own, users := e.ofClient(), e.ofUser()
	revoke(own.AccessToken)
	e.wantActive("a client's, revoked", own.AccessToken, false)
	e.wantActive("what is inside", e.inside(own.AccessToken), false)
	revoke(users.AccessToken)
	e.wantActive("a user's, revoked", users.AccessToken, false)
	if _, err := e.Refresh(e.Again("app"), users.RefreshToken); err == nil {
		t.Error("its grant goes on")
	}
	e.Client("other")
	_, secret, err := e.registry.AddSecret(t.Context(), "other", "", "", audit.Server)
	e.Must(err)
	_, err = e.revocation.Revoke(t.Context(), clients.Presented{ID: "other", Secret: secret}, e.ofClient().AccessToken)
	wantRefused(t, "another client's", err, protocol.InvalidGrant)
	late := e.ofClient()
	e.Later(15 * time.Minute)
	e.wantActive("expired", late.AccessToken, false)
}

func TestSealedTokensLastAsLongAsTheirKeys(t *testing.T) {
	t.Parallel()
	e := newEncrypted(t)
	sealer := func(token string) string {
		kid, _, _ := strings.Cut(e.headerOf(token)["ing"].(string), ".")
		return kid
	}
	first := e.ofClient()
	_, err := e.ring.Rotate(t.Context(), keys.Seals, keys.Intervention{Now: true, Force: true})
	e.Must(err)
	second := e.ofClient()
	if sealer(first.AccessToken) == sealer(second.AccessToken) {
		t.Error("the key is the same after a rotation")
	}
	e.wantActive("sealed before a rotation", first.AccessToken, true)
	e.wantActive("sealed after it", second.AccessToken, true)
	e.Must(e.ring.Withdraw(t.Context(), sealer(second.AccessToken), keys.Intervention{Force: true}))
	e.wantActive("sealed with a withdrawn key", second.AccessToken, false)
	e.wantActive("sealed with the one before", first.AccessToken, true)
	e.wantActive("sealed with the one after", e.ofClient().AccessToken, true)
	// The key that signed what is inside counts as well.
	third := e.ofClient()
	signer, err := e.ring.SignsNow(keys.Tokens)
	e.Must(err)
	e.Must(e.ring.Withdraw(t.Context(), signer, keys.Intervention{Force: true}))
	e.wantActive("signed with a withdrawn key", third.AccessToken, false)
}

func TestAnAPIThatStopsEncryptingGetsSignedTokens(t *testing.T) {
	t.Parallel()
	e := newEncrypted(t)
	before := e.ofClient()
	_, _, err := e.APIs.Update(t.Context(), secretAPI, func(a *apis.API) error { a.EncryptionJWK = ""; return nil }, "", audit.Server)
	e.Must(err)
	if after := e.ofClient(); strings.Count(after.AccessToken, ".") != 2 {
		t.Error(after.AccessToken)
	}
	e.wantActive("from before", before.AccessToken, true)
}
