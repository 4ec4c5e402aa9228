package authz_test

import (
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/ingam/ingam/authz"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/tokens"
)

const apiSecret = "a secret of forty characters, or nearly so"

// endpoints returns two clients, and an Authenticator that knows them.
func endpoints(t *testing.T) (c *connections, authenticator *clients.Authenticator, api, app clients.Presented) {
	t.Helper()
	c = newConnections(t)
	redirects := []string{"https://app.test/cb"}
	for _, of := range []clients.Client{{ID: "api", Auth: clients.SecretBasic, Introspects: []string{"a"}}, {ID: "other", Auth: clients.SecretBasic, Audiences: []string{"a"}}, {ID: "app", Auth: clients.None}} {
		of.Name, of.Grants, of.RedirectURIs = of.ID, []string{clients.AuthorizationCode}, redirects
		with := ""
		if of.Auth != clients.None {
			with = apiSecret
		}
		_, _, err := c.registry.Create(c.ctx, of, with, "", "test")
		c.must(err)
	}
	return c, clients.NewAuthenticator(c.registry, 100, time.Minute, time.Now), clients.Presented{ID: "api", Secret: apiSecret}, clients.Presented{ID: "app"}
}

func wantRefused(t *testing.T, what string, err error, code protocol.Code) {
	t.Helper()
	var refused *protocol.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("%s: %v, not %s", what, err, code)
	}
}

func TestWhoMayAskAboutTokensIsSettledBeforeTheyAreRead(t *testing.T) {
	t.Parallel()
	c, authenticator, api, app := endpoints(t)
	cuts := revocation.NewCuts(c.store, time.Now)
	issuer := tokens.NewIssuer("https://id.test", "", nil, time.Now) // without keys, because no token may be read
	introspection := authz.NewIntrospector(authenticator, issuer, c.registry, nil, nil, cuts)
	revoker := authz.NewRevoker(authenticator, issuer, nil, cuts)

	_, err := introspection.Introspect(c.ctx, clients.Presented{}, "token")
	wantRefused(t, "introspection by nobody", err, protocol.InvalidClient)
	answer, err := introspection.Introspect(c.ctx, app, "token")
	wantRefused(t, "introspection by a public client", err, protocol.InvalidClient)
	if answer.Caller != "app" || answer.Active {
		t.Errorf("%+v", answer)
	}
	_, err = introspection.Introspect(c.ctx, api, "")
	wantRefused(t, "introspection of nothing", err, protocol.InvalidRequest)
	_, err = revoker.Revoke(c.ctx, clients.Presented{ID: "api", Secret: "wrong"}, "token")
	wantRefused(t, "revocation with a wrong secret", err, protocol.InvalidClient)
	caller, err := revoker.Revoke(c.ctx, app, "")
	wantRefused(t, "revocation of nothing", err, protocol.InvalidRequest)
	if caller != "app" {
		t.Errorf("the caller is %q", caller)
	}
}

func TestListenersAreAPIsAndSayWhoTheyAre(t *testing.T) {
	t.Parallel()
	c, authenticator, api, app := endpoints(t)
	events := authz.NewStatusEvents(authenticator, c.registry, c.store)
	other := clients.Presented{ID: "other", Secret: apiSecret} // which may ask for tokens for the API
	for what, of := range map[string]struct {
		presented          clients.Presented
		verifier, instance string
		code               protocol.Code
	}{
		"nobody":          {clients.Presented{}, "v", "", protocol.InvalidClient},
		"a public client": {app, "v", "", protocol.InvalidClient},
		"no API":          {other, "v", "", protocol.UnauthorizedClient},
		"a bad name":      {api, "a name", "", protocol.InvalidRequest},
		"a bad instance":  {api, "v", "1/2", protocol.InvalidRequest},
	} {
		_, err := events.Listen(c.ctx, of.presented, of.verifier, of.instance)
		wantRefused(t, what, err, of.code)
	}
	l, err := events.Listen(c.ctx, api, "", "")
	if err != nil || l.ClientID != "api" || l.Name == "" || l.Name != l.ID {
		t.Errorf("%+v, %v", l, err)
	}
	for what, sent := range map[string][3]string{
		"no number":         {l.ID, "", ""},
		"a negative number": {l.ID, "-1", ""},
		"leaving somehow":   {l.ID, "1", "maybe"},
	} {
		_, _, err := events.Acknowledge(c.ctx, api, sent[0], sent[1], sent[2])
		wantRefused(t, what, err, protocol.InvalidRequest)
	}
	_, _, err = events.Acknowledge(c.ctx, other, l.ID, "1", "")
	wantRefused(t, "an acknowledgement by no API", err, protocol.UnauthorizedClient)
	_, _, err = c.registry.Create(c.ctx, clients.Client{ID: "credentials", Name: "Credentials", Auth: clients.SecretBasic}, apiSecret, "", "test")
	c.must(err)
	if _, err := events.Listen(c.ctx, clients.Presented{ID: "credentials", Secret: apiSecret}, "v", ""); err != nil {
		t.Errorf("credentials and nothing else: %v", err)
	}
	_, _, err = events.Acknowledge(c.ctx, api, l.ID, "1", "")
	wantRefused(t, "a listener that is not stored", err, protocol.InvalidRequest)
	if !errors.Is(err, listeners.ErrNotFound) {
		t.Errorf("%v does not say that it is not known", err)
	}
}

// TestAListenerStaysWhileItsSecretDoes: whoever stole a secret and listens must not go on
// when it is removed. They could no longer acknowledge, and every revocation would wait
// for them.
func TestAListenerStaysWhileItsSecretDoes(t *testing.T) {
	t.Parallel()
	c, authenticator, former, _ := endpoints(t)
	events := authz.NewStatusEvents(authenticator, c.registry, c.store)
	const second = "another secret of forty characters or so"
	_, _, err := c.registry.AddSecret(c.ctx, "api", second, "", "test")
	c.must(err)
	c.must(c.registry.Follow(c.ctx, nil))
	listen := func(p clients.Presented) listeners.Listener {
		t.Helper()
		l, err := events.Listen(c.ctx, p, "v", "")
		c.must(err)
		return l
	}
	basic := clients.Presented{Headers: 1, Basic: true, User: "api", Password: apiSecret}
	old := []listeners.Listener{listen(former), listen(basic)}
	latest := listen(clients.Presented{ID: "api", Secret: second})
	stay := func(what string, want bool, all ...listeners.Listener) {
		t.Helper()
		c.must(c.registry.Follow(c.ctx, nil))
		for _, l := range all {
			if events.MayListen(c.ctx, l) != want {
				t.Errorf("%s: %+v stays: %t", what, l, !want)
			}
		}
	}
	stay("all secrets", true, append(old, latest)...)
	stay("nobody's", false, listeners.Listener{ClientID: "nobody"}, listeners.Listener{ClientID: "api"}, listeners.Listener{ClientID: "app"})
	_, err = c.registry.RemoveSecret(c.ctx, "api", "", "", "test")
	c.must(err)
	stay("a removed secret", false, old...)
	stay("the other secret", true, latest)
	_, _, err = c.registry.AddSecret(c.ctx, "api", apiSecret, "", "test")
	c.must(err)
	stay("a secret that came back", false, old...)
	is := func(audiences ...string) {
		t.Helper()
		_, _, err := c.registry.Update(c.ctx, "api", func(c *clients.Client) error { c.Introspects = audiences; return nil }, "", "test")
		c.must(err)
	}
	is()
	stay("a client that is no API any more", false, latest)
	is("b")
	stay("a client that is an API again", true, latest)
	c.must(c.registry.Disable(c.ctx, "api", "", "test"))
	stay("a disabled client", false, append(old, latest)...)
}

func TestOnlyAnAppThatIsRegisteredForItSignsPeopleIn(t *testing.T) {
	t.Parallel()
	c, authenticator, api, _ := endpoints(t)
	client, err := authz.NewFirstParty(authenticator, nil, nil, c.store, nil, nil).Client(c.ctx, api)
	wantRefused(t, "a client without the grant", err, protocol.UnauthorizedClient)
	if client == nil || client.ID != "api" {
		t.Errorf("the client is %v", client)
	}
}

func TestPeopleReturnOnlyToAddressesOfWhoSentThem(t *testing.T) {
	t.Parallel()
	c, _, _, _ := endpoints(t)
	end := authz.NewEndSession(nil, c.registry)
	const own, foreign = "https://app.test/cb", "https://evil.test/cb"
	for what, of := range map[string]struct {
		client, address string
		to              string
		why             error
	}{
		"its own":              {"app", own, own, nil},
		"another's":            {"app", foreign, "", authz.ErrNotItsAddress},
		"nobody's":             {"", own, "", authz.ErrNobodyAsks},
		"an unknown client's":  {"nobody", own, "", authz.ErrNobodyAsks},
		"none, and that is it": {"app", "", "", nil},
	} {
		req, err := end.Parse(c.ctx, url.Values{"client_id": {of.client}, "post_logout_redirect_uri": {of.address}, "state": {"s"}})
		if err != nil || req.Return != of.to || req.NoReturn != of.why || (req.State != "") != (of.to != "") {
			t.Errorf("%s: %+v, %v", what, req, err)
		}
	}
}
