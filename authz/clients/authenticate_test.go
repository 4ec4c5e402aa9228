package clients_test

import (
	"errors"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/storage/storagetest"
)

const (
	secret = "a secret with a % and a + of 40 characters"
	limit  = 2
	window = time.Minute
)

// registry returns a Registry with a client for each way of authentication.
func registry(t *testing.T, now func() time.Time) *clients.Registry {
	t.Helper()
	store := storagetest.New(t, storagetest.Engines()[0])
	own, err := apis.NewOwn()
	if err != nil {
		t.Fatal(err)
	}
	r := clients.NewRegistry(store, catalog.New(store, own, now, nil), now, nil, clients.PKCERequired)
	for id, method := range map[string]clients.AuthMethod{"backend": clients.SecretBasic, "off": clients.SecretPost, "app": clients.None} {
		c := clients.Client{ID: id, Name: id, Auth: method, Grants: []string{clients.AuthorizationCode}, RedirectURIs: []string{"https://app.test/cb"}}
		with := secret
		if method == clients.None {
			with = ""
		}
		if _, _, err := r.Create(t.Context(), c, with, "", "test"); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Disable(t.Context(), "off", "", "test"); err != nil {
		t.Fatal(err)
	}
	return r
}

func basic(id, password string) clients.Presented {
	return clients.Presented{Headers: 1, Basic: true, User: id, Password: password}
}

func TestWhoAClientIsFollowsFromWhatItPresents(t *testing.T) {
	t.Parallel()
	r := registry(t, time.Now)
	withID, withSecret := basic("backend", secret), basic("backend", secret)
	withID.ID, withSecret.Secret = "app", secret
	sameID := basic("backend", url.QueryEscape(secret))
	sameID.ID = "backend"
	const unauthenticated, malformed = protocol.InvalidClient, protocol.InvalidRequest
	for what, c := range map[string]struct {
		presented clients.Presented
		client    string
		refused   protocol.Code
	}{
		"Basic, encoded":                {basic("backend", url.QueryEscape(secret)), "backend", ""},
		"Basic, as it is":               {basic("backend", secret), "backend", ""},
		"Basic, and the id in the form": {sameID, "backend", ""},
		"post":                          {clients.Presented{ID: "backend", Secret: secret}, "backend", ""},
		"a public client":               {clients.Presented{ID: "app"}, "app", ""},

		"nothing":                           {clients.Presented{}, "", unauthenticated},
		"an unknown client":                 {clients.Presented{ID: "nobody", Secret: secret}, "", unauthenticated},
		"a disabled client":                 {clients.Presented{ID: "off", Secret: secret}, "", unauthenticated},
		"another secret":                    {clients.Presented{ID: "backend", Secret: secret + "!"}, "", unauthenticated},
		"Basic with another secret":         {basic("backend", "x"), "", unauthenticated},
		"no secret":                         {clients.Presented{ID: "backend"}, "", unauthenticated},
		"an empty secret in the header":     {basic("backend", ""), "", unauthenticated},
		"a public client with a secret":     {clients.Presented{ID: "app", Secret: secret}, "", unauthenticated},
		"an assertion":                      {clients.Presented{ID: "backend", Secret: secret, Assertion: true}, "", unauthenticated},
		"a header that is not Basic":        {clients.Presented{Headers: 1, ID: "app"}, "", unauthenticated},
		"an id that does not decode":        {basic("%zz", secret), "", unauthenticated},
		"two headers":                       {clients.Presented{Headers: 2, Basic: true, User: "backend", Password: secret}, "", malformed},
		"a secret in the header and a form": {withSecret, "", malformed},
		"another client's id in the form":   {withID, "", malformed},
	} {
		// Each attempt has its own Authenticator, so that no attempt throttles
		// another.
		got, err := clients.NewAuthenticator(r, limit, window, time.Now).Authenticate(t.Context(), c.presented)
		var refused *protocol.Error
		switch {
		case c.refused == "" && (err != nil || got.ID != c.client):
			t.Errorf("%s: %v, %v", what, got, err)
		case c.refused != "" && (!errors.As(err, &refused) || refused.Code != c.refused || got != nil):
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

// TestWhoFailsTooOftenIsThrottledAndLocksNobodyOut: failures are counted for a client and
// an address, for a window. A right secret is never refused.
func TestWhoFailsTooOftenIsThrottledAndLocksNobodyOut(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	a := clients.NewAuthenticator(registry(t, clock), limit, window, clock)
	here, there := netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/64")
	fails := func(id string, from netip.Prefix, throttled bool) {
		t.Helper()
		_, err := a.Authenticate(t.Context(), clients.Presented{ID: id, Secret: "wrong", From: from})
		var refused *protocol.Error
		if !errors.As(err, &refused) || refused.Code != protocol.InvalidClient || errors.Is(err, clients.ErrThrottled) != throttled {
			t.Fatalf("as %s from %s: %v", id, from, err)
		}
		if (refused.RetryAfter > 0) != throttled || refused.RetryAfter > window {
			t.Errorf("as %s from %s: again after %s", id, from, refused.RetryAfter)
		}
	}
	for range limit {
		fails("backend", here, false)
	}
	fails("backend", here, true)
	fails("backend", there, false)
	fails("app", here, false)
	if _, err := a.Authenticate(t.Context(), clients.Presented{ID: "backend", Secret: secret, From: here}); err != nil {
		t.Errorf("whoever fails in a client's name locks it out: %v", err)
	}
	now = now.Add(window)
	fails("backend", here, false)
}
