package authz_test

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

func TestTheSecretsOfAnAPIRotate(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	old := s.signedIn()
	next, err := s.APIs.AddSecret(t.Context(), ofShared, "", audit.Server)
	s.Must(err)
	kid := func() string {
		t.Helper()
		issued, err := s.Ask(s.client, clients.ClientCredentials, "resource", ofShared)
		s.Must(err)
		if !s.ask(s.api, issued.AccessToken).Active {
			t.Error("it is not active")
		}
		kid, _ := tokens.SharedKID(issued.AccessToken)
		return kid
	}
	if next.Signs || next.Shown == "" || kid() != s.secret.ID {
		t.Errorf("%+v signs already", next)
	}
	if _, err := s.APIs.AddSecret(t.Context(), ofShared, "", audit.Server); !errors.Is(err, apis.ErrTooManySecrets) {
		t.Errorf("a third one: %v", err)
	}
	if _, err := s.APIs.RemoveSecret(t.Context(), ofShared, s.secret.ID, "", audit.Server); !errors.Is(err, apis.ErrSecretSigns) {
		t.Errorf("removing the one that signs: %v", err)
	}
	if _, _, err := s.APIs.UseSecret(t.Context(), "https://other.test", next.ID, "", audit.Server); !errors.Is(err, apis.ErrSecretNotFound) {
		t.Errorf("using another API's: %v", err)
	}
	for _, want := range []bool{true, false} {
		if _, changed, err := s.APIs.UseSecret(t.Context(), ofShared, next.ID, "", audit.Server); err != nil || changed != want {
			t.Errorf("using it: %t, %v", changed, err)
		}
	}
	if kid() != next.ID || !s.ask(s.api, old.AccessToken).Active {
		t.Error("the next one does not sign, or the former one is refused")
	}
	s.removed(s.APIs.RemoveSecret(t.Context(), ofShared, s.secret.ID, "", audit.Server))
	if s.ask(s.api, old.AccessToken).Active {
		t.Error("a token of a secret that was removed is active")
	}
	refreshed, err := s.Refresh(s.client, old.RefreshToken)
	s.Must(err)
	if !s.ask(s.api, refreshed.AccessToken).Active {
		t.Error("the grant does not go on")
	}
	// An API that changes to another algorithm keeps its secrets until they are removed.
	_, _, err = s.APIs.Update(t.Context(), ofShared, func(a *apis.API) error { a.Signing.Alg = "RS256"; return nil }, "", audit.Server)
	s.Must(err)
	if kid() != next.ID {
		t.Error("it does not sign until verifiers know a key of the ring")
	}
	if _, err := s.APIs.RemoveSecret(t.Context(), ofShared, next.ID, "", audit.Server); !errors.Is(err, apis.ErrSecretSigns) {
		t.Errorf("removing the one that signs for a while: %v", err)
	}
	s.Later(5 * time.Minute)
	if issued, err := s.Ask(s.client, clients.ClientCredentials, "resource", ofShared); err != nil || !s.ask(s.api, issued.AccessToken).Active || s.kidOf(issued.AccessToken) == next.ID {
		t.Errorf("after a change of the algorithm: %v", err)
	}
	if !s.ask(s.api, refreshed.AccessToken).Active {
		t.Error("its tokens do not live out")
	}
	s.removed(s.APIs.RemoveSecret(t.Context(), ofShared, next.ID, "", audit.Server))
	if s.ask(s.api, refreshed.AccessToken).Active {
		t.Error("a token of a secret that was removed is active")
	}
}

func TestAnAPICanHaveItsSecretBeforeItsTokensAreSignedSo(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	const api = "https://api.test"
	change := func() (apis.API, error) {
		a, _, err := s.APIs.Update(t.Context(), api, func(a *apis.API) error { a.Signing.Alg = apis.SharedAlg; return nil }, "", audit.Server)
		return a, err
	}
	first, err := s.APIs.AddSecret(t.Context(), api, "", audit.Server)
	s.Must(err)
	second, err := s.APIs.AddSecret(t.Context(), api, "", audit.Server)
	s.Must(err)
	issued, err := s.Ask(s.client, clients.ClientCredentials, "resource", api)
	s.Must(err)
	s.kidOf(issued.AccessToken) // is that of a ring
	if _, err := change(); !errors.Is(err, apis.ErrNoneSigns) {
		t.Errorf("with two of which none was chosen: %v", err)
	}
	s.removed(s.APIs.RemoveSecret(t.Context(), api, second.ID, "", audit.Server))
	a, err := change()
	s.Must(err)
	if signs, ok := a.SigningSecret(); !ok || signs.ID != first.ID {
		t.Errorf("%+v", a)
	}
	if _, made := a.NewSecret(); made {
		t.Error("another one was made")
	}
	issued, err = s.Ask(s.client, clients.ClientCredentials, "resource", api)
	s.Must(err)
	if kid, _ := tokens.SharedKID(issued.AccessToken); kid != first.ID {
		t.Errorf("signed by %s", kid)
	}
	// Two such APIs in one token are refused.
	_, _, err = s.registry.Update(t.Context(), "app", func(c *clients.Client) error { c.Audiences = []string{ofShared, api}; return nil }, "", audit.Server)
	s.Must(err)
	request := grants.Request{Client: s.Again("app"), GrantType: clients.ClientCredentials, Parameters: url.Values{"resource": {ofShared, api}}}
	grant, err := s.Types.Of(request)
	s.Must(err)
	_, err = grant.Grant(t.Context(), request)
	wantRefused(t, "two APIs", err, protocol.InvalidTarget)
}

func TestASecretThatIsNewerThanTheCopyInMemoryIsFound(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	fresh := catalog.New(s.Store, s.APIs.Own(), s.Now, func() bool { return true })
	s.Must(fresh.Follow(t.Context(), nil))
	made, err := s.APIs.AddSecret(t.Context(), ofShared, "", audit.Server)
	s.Must(err)
	for kid, found := range map[string]bool{made.ID: true, s.secret.ID: true, "": false, "x": false} {
		for audience, is := range map[string]bool{ofShared: true, "https://other.test": false, "https://api.test": false, "": false} {
			secret, of, err := fresh.Shared(t.Context(), []string{audience}, kid)
			if want := found && is; want != (err == nil) || want && (of != ofShared || secret.KID != kid) || !want && !errors.Is(err, apis.ErrSecretNotFound) {
				t.Errorf("%q of %q: %v of %q, %v", kid, audience, secret, of, err)
			}
		}
	}
	if _, _, err := fresh.Shared(t.Context(), nil, made.ID); !errors.Is(err, apis.ErrSecretNotFound) {
		t.Errorf("of no API: %v", err)
	}
}

// asked counts how often the APIs are read from the database.
type asked struct {
	catalog.Store
	times int
}

func (a *asked) APIs(ctx context.Context) ([]apis.API, error) {
	a.times++
	return a.Store.APIs(ctx)
}

func TestASecretInMemoryCostsNoStatement(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	store := &asked{Store: s.Store}
	fresh := catalog.New(store, s.APIs.Own(), s.Now, func() bool { return true })
	s.Must(fresh.Follow(t.Context(), nil))
	store.times = 0
	// The id of a client is usually the audience of no API.
	_, of, err := fresh.Shared(t.Context(), []string{s.api.ID, ofShared}, s.secret.ID)
	if err != nil || of != ofShared || store.times != 0 {
		t.Errorf("of %q after %d statements, %v", of, store.times, err)
	}
}

func TestAFaultOfStorageIsNoVerdictOnASharedSecretsToken(t *testing.T) {
	t.Parallel()
	s := newSharing(t)
	token := s.signedIn().AccessToken
	caller := s.Again(s.api.ID)
	s.Must(s.Store.Close())
	if _, _, err := s.APIs.Shared(t.Context(), caller.Introspects, s.secret.ID); err == nil || errors.Is(err, apis.ErrSecretNotFound) {
		t.Errorf("a secret: %v", err)
	}
	if answer, err := s.introspection.Introspect(t.Context(), s.api, token); err == nil {
		t.Errorf("%+v", answer)
	}
}
