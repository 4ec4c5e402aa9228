package grants_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/permission"
)

// wanted is what the first-party app of these tests asks for.
var wanted = permission.Granted{
	Scopes: []string{"openid", "offline_access", "read"}, Audiences: []string{"https://api.test"},
	Permissions: []permission.Permission{{Scope: "openid"}, {Scope: "offline_access"}, {Audience: "https://api.test", Scope: "read"}},
}

func signsIn(c *clients.Client) {
	c.Grants, c.Hold, c.FirstParty = []string{clients.SignIn}, clients.HoldMemory, true
	c.Auth, c.RedirectURIs = clients.None, nil
}

func TestAGrantIsTheSameHoweverItBegan(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app := h.Client("app", signsIn)
	h.User("minji")
	in := h.SignIn("minji")
	signedIn, err := h.Types.SignedIn(h.Context(), app, in, wanted)
	h.Must(err)
	// A code with the same permissions gives what a sign-in by the client itself gives.
	redeemed, err := h.Redeem(app, h.Code(in, "app", func(c *grants.Code) {
		c.Scopes, c.Audiences, c.Permissions = wanted.Scopes, wanted.Audiences, wanted.Permissions
	}))
	h.Must(err)
	var both [2]grants.Standing
	for i, issued := range []grants.Issued{signedIn, redeemed} {
		if issued.AccessToken == "" || issued.IDToken == "" || issued.Scope() != "openid offline_access read" || issued.Access.Status.List == 0 {
			t.Errorf("%+v", issued)
		}
		g, err := h.Store.Grant(h.Context(), issued.Access.GrantID)
		h.Must(err)
		if !g.Stands || g.Status != issued.Access.Status || g.Refresh.IssuedAt.IsZero() != (issued.RefreshToken == "") {
			t.Errorf("%+v", g)
		}
		g.ID, g.Age, g.CreatedAt, g.ExpiresAt, g.Status, g.Refresh = "", 0, time.Time{}, time.Time{}, g.Former, grants.Refresh{}
		both[i] = g
	}
	// The grant from a browser outlives the session. The grant of a sign-in in the app
	// ends with it.
	if both[0].Offline || !both[1].Offline {
		t.Errorf("offline: %t %t", both[0].Offline, both[1].Offline)
	}
	both[0].Offline = true
	if diff := cmp.Diff(both[0], both[1]); diff != "" {
		t.Error(diff)
	}
	if signedIn.RefreshToken == "" || redeemed.RefreshToken != "" {
		t.Error("an app refreshes whom it signed in by itself, and for others as it is registered")
	}
	if _, err := h.Refresh(app, signedIn.RefreshToken); err != nil {
		t.Error(err)
	}
}

func TestNothingBeginsWhereSomethingWasCut(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	ev := audit.Event{At: h.Now(), Actor: audit.Operator("test"), Action: audit.UserCut}
	for id, cut := range map[string]func(user, client string, in grants.SignIn){
		"user": func(user, _ string, _ grants.SignIn) { h.Must(h.Store.CutUser(h.Context(), user, ev)) },
		"disabled": func(user, _ string, _ grants.SignIn) {
			h.Must(h.Store.SetUserDisabled(h.Context(), user, true, nil, ev))
		},
		"gone": func(_, client string, _ grants.SignIn) { h.Must(h.Store.DeleteClient(h.Context(), client, nil, ev)) },
		"session": func(user, _ string, in grants.SignIn) {
			h.Must(h.Store.EndSession(h.Context(), user, in.SessionID, ev))
		},
	} {
		user, name := "user-"+id, "app-"+id
		app := h.Client(name, signsIn)
		h.User(user)
		in := h.SignIn(user)
		before := h.State()
		cut(user, name, in)
		if issued, err := h.Types.SignedIn(h.Context(), app, in, wanted); !errors.Is(err, grants.ErrNotFound) || issued.AccessToken != "" {
			t.Errorf("%s: %v", id, err)
		}
		if got := h.State(); got != before {
			t.Errorf("%s: %s", id, got)
		}
	}
	// If nothing is left of what was asked for, there is no grant either.
	app := h.Client("nothing", signsIn)
	h.User("minji")
	in := h.SignIn("minji")
	none := permission.Granted{Scopes: []string{"gone"}, Audiences: []string{"https://api.test"}, Permissions: []permission.Permission{{Audience: "https://api.test", Scope: "gone"}}}
	if _, err := h.Types.SignedIn(h.Context(), app, in, none); !errors.Is(err, grants.ErrNotFound) {
		t.Error(err)
	}
	// A sign-in right after a cut of the client is valid.
	h.Must(h.Store.CutClient(h.Context(), "nothing", ev))
	if _, err := h.Types.SignedIn(h.Context(), app, in, wanted); err != nil {
		t.Error(err)
	}
}
