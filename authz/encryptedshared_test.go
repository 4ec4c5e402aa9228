package authz_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

// sealedSharing is a house with an API that shares a secret with the server, and has its
// tokens encrypted as well.
type sealedSharing struct {
	*sharing
	private *ecdsa.PrivateKey
}

func newSealedSharing(t *testing.T) *sealedSharing {
	t.Helper()
	s := &sealedSharing{sharing: newSharing(t)}
	var err error
	s.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.Must(err)
	_, _, err = s.APIs.Update(t.Context(), ofShared, func(a *apis.API) error { a.EncryptionJWK = s.publicJWK(); return nil }, "", audit.Server)
	s.Must(err)
	return s
}

// opener is what decrypts and encrypts for the API.
func (s *sealedSharing) opener() *encrypted {
	return &encrypted{tokenEndpoints: s.tokenEndpoints, private: s.private}
}

func (s *sealedSharing) ofClient() string {
	s.Helper()
	issued, err := s.Ask(s.client, clients.ClientCredentials, "resource", ofShared)
	s.Must(err)
	return issued.AccessToken
}

func TestATokenOfASharedSecretThatIsEncryptedIsForItsAPIAlone(t *testing.T) {
	t.Parallel()
	s := newSealedSharing(t)
	for what, token := range map[string]string{"of a user": s.signedIn().AccessToken, "of a client": s.ofClient()} {
		signed := s.opener().inside(token)
		if kid, ok := tokens.SharedKID(signed); !tokens.IsEncrypted(token) || !ok || kid != s.secret.ID {
			t.Fatalf("%s: kid %q inside", what, kid)
		}
		for who, presented := range map[string]clients.Presented{"the API": s.api, "another API with a secret": s.other, "another API": s.usual, "the client": s.app} {
			for form, text := range map[string]string{"encrypted": token, "what is inside": signed} {
				if answer := s.ask(presented, text); answer.Active != (who == "the API") || !answer.Active && !cmp.Equal(answer, authz.Introspection{Caller: presented.ID}) {
					t.Errorf("%s, %s, %s: %+v", what, form, who, answer)
				}
			}
		}
		answer := s.ask(s.api, token)
		if diff := cmp.Diff(s.ask(s.api, signed), answer, cmpopts.IgnoreFields(authz.Introspection{}, "Forgeable")); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		// What the server sealed the API could not have written, so the answer is evidence.
		if _, err := s.introspection.Signed(answer); err != nil {
			t.Errorf("%s: a signed answer: %v", what, err)
		}
		before := s.State()
		_, _, err := s.userInfo.Claims(t.Context(), token)
		wantRefused(t, what+": userinfo", err, protocol.InvalidToken)
		if _, err := s.Refresh(s.client, token); err == nil {
			t.Errorf("%s: it is a refresh token", what)
		}
		if err := s.firstParty.SignOut(t.Context(), s.client, token); err == nil && s.State() != before {
			t.Errorf("%s: it signs out", what)
		}
		if _, err := s.Types.Issuer.ReadHint(t.Context(), token); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: as a hint: %v", what, err)
		}
		for who, presented := range map[string]clients.Presented{"its API": s.api, "another API": s.other} {
			_, err := s.revocation.Revoke(t.Context(), presented, token)
			wantRefused(t, what+": revocation by "+who, err, protocol.InvalidGrant)
		}
		if s.State() != before || !s.ask(s.api, token).Active {
			t.Errorf("%s: something changed", what)
		}
		// The client can revoke it, which it cannot where it is only signed: it is the server
		// that sealed it.
		_, err = s.revocation.Revoke(t.Context(), s.app, token)
		s.Must(err)
		if s.ask(s.api, token).Active || s.ask(s.api, signed).Active {
			t.Errorf("%s: it is active although it was revoked", what)
		}
	}
}

func TestAnAPIForgesNoEncryptedTokenEither(t *testing.T) {
	t.Parallel()
	s := newSealedSharing(t)
	s.User("yuna")
	users, own := s.signedIn().AccessToken, s.ofClient()
	signed, h := s.opener().inside(users), s.opener().headerOf(users)
	forged := s.forged(signed, nil, map[string]any{"sub": "yuna", "jti": "forged"}, s.knows)
	for what, header := range map[string]map[string]any{
		"nothing sealed":           {"jti": "forged"},
		"sealed for another token": {"jti": "forged", "ing": h["ing"]},
		"an invented seal":         {"jti": "forged", "ing": strings.Split(h["ing"].(string), ".")[0] + ".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
	} {
		token := s.opener().strangers(forged, header)
		for who, presented := range map[string]clients.Presented{"the API": s.api, "the client": s.app} {
			if answer := s.ask(presented, token); answer.Active {
				t.Errorf("%s, %s: %+v", what, who, answer)
			}
		}
	}
	copied := s.opener().strangers(forged, map[string]any{"jti": h["jti"], "ing": h["ing"]})
	if diff := cmp.Diff(s.ask(s.api, users), s.ask(s.api, copied)); diff != "" {
		t.Errorf("under the header of another token: %s", diff)
	}
	// A secret that is removed takes its tokens with it, as the key of a ring does.
	next, err := s.APIs.AddSecret(t.Context(), ofShared, "", audit.Server)
	s.Must(err)
	_, _, err = s.APIs.UseSecret(t.Context(), ofShared, next.ID, "", audit.Server)
	s.Must(err)
	if !s.ask(s.api, own).Active {
		t.Error("it ends with the rotation")
	}
	s.removed(s.APIs.RemoveSecret(t.Context(), ofShared, s.secret.ID, "", audit.Server))
	if s.ask(s.api, own).Active || s.ask(s.api, users).Active || !s.ask(s.api, s.ofClient()).Active {
		t.Error("after the secret was removed")
	}
}

// publicJWK is the key to which the API has its tokens encrypted.
func (s *sealedSharing) publicJWK() string {
	s.Helper()
	jwk, err := jose.JSONWebKey{Key: s.private.Public()}.MarshalJSON()
	s.Must(err)
	return string(jwk)
}
