package grants_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/status"
)

// begun signs minji in and redeems a code.
func begun(h *grantstest.House, app *clients.Client, change ...func(*grants.Code)) grants.Issued {
	h.Helper()
	issued, err := h.Redeem(app, h.Code(h.SignIn("minji"), app.ID, change...))
	h.Must(err)
	return issued
}

func TestRefreshTokensRotateAndReuseEndsTheGrant(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app, thief := h.Client("app"), h.Client("thief")
	h.User("minji")
	first := begun(h, app)
	second, err := h.Refresh(app, first.RefreshToken)
	h.Must(err)
	again, err := h.Refresh(app, first.RefreshToken)
	h.Must(err)
	if again.RefreshToken != second.RefreshToken || again.AccessToken == second.AccessToken || second.RefreshToken == first.RefreshToken {
		t.Error("a lost answer brings the same successor, with a fresh access token")
	}
	third, err := h.Refresh(app, second.RefreshToken)
	h.Must(err)
	before := h.State()
	for what, c := range map[string]struct {
		client *clients.Client
		token  string
		want   string
	}{
		"a spent token of another client": {thief, first.RefreshToken, "invalid_grant: other_client"},
		"a live token of another client":  {thief, third.RefreshToken, "invalid_grant: other_client"},
		"an access token":                 {app, third.AccessToken, "invalid_grant: invalid"},
		"an ID token":                     {app, third.IDToken, "invalid_grant: invalid"},
		"a truncated one":                 {app, third.RefreshToken[:len(third.RefreshToken)-1], "invalid_grant: invalid"},
		"none":                            {app, "", "invalid_request"},
	} {
		if _, err := h.Refresh(c.client, c.token); refusal(err) != c.want || h.State() != before {
			t.Errorf("%s: %s, want %s", what, refusal(err), c.want)
		}
	}
	if _, err := h.Refresh(app, first.RefreshToken); refusal(err) != "invalid_grant: reused" {
		t.Errorf("%s", refusal(err))
	}
	if _, err := h.Refresh(app, third.RefreshToken); refusal(err) != "invalid_grant: revoked" {
		t.Errorf("the newest, after reuse: %s", refusal(err))
	}
	all := events(h, audit.GrantReused)
	if len(all) != 1 || all[0].Details["client_id"] != "app" || all[0].Details["user"] != "minji" || all[0].Actor != audit.Client("app") {
		t.Errorf("%+v", all)
	}
}

func TestATokenThatIsAheadOfItsGrantRevokesNothing(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app := h.Client("app")
	h.User("minji")
	issued := begun(h, app)
	g, err := h.Store.Grant(h.Context(), issued.Access.GrantID)
	h.Must(err)
	next, err := h.Refresh(app, issued.RefreshToken)
	h.Must(err)
	// The database goes back to its state of a moment ago.
	h.Must(h.Store.RotateGrant(h.Context(), g.ID, 2, g.Refresh, g.Status, status.Ref{}, h.Now()))
	before := h.State()
	if _, err := h.Refresh(app, next.RefreshToken); refusal(err) != "invalid_grant: ahead" || h.State() != before {
		t.Errorf("%s", refusal(err))
	}
	if _, err := h.Refresh(app, issued.RefreshToken); err != nil {
		t.Errorf("the one that the grant has: %v", err)
	}
}

func TestARefreshBringsWhatWasGrantedOrLess(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app := h.Client("app")
	quiet := h.Client("quiet", func(c *clients.Client) { c.NoRefreshIDToken = true })
	h.User("minji", "admin", "ingam:admin", "ops", "ingam:users:read")
	both := func(c *grants.Code) {
		c.Scopes, c.Audiences = []string{"openid", "read", "write"}, []string{"https://api.test", "https://roles.test"}
		c.Permissions = []permission.Permission{{Scope: "openid"}, {Audience: "https://api.test", Scope: "read"}, {Audience: "https://roles.test", Scope: "read"}, {Audience: "https://api.test", Scope: "write"}}
	}
	issued := begun(h, app, both)
	before := h.State()
	for what, c := range map[string]struct {
		parameters []string
		want       string
	}{
		"a scope that was not granted": {[]string{"scope", "openid email"}, "invalid_scope"},
		"a scope of another API":       {[]string{"scope", "write", "resource", "https://roles.test"}, "invalid_scope"},
		"another resource":             {[]string{"resource", "https://other.test"}, "invalid_target"},
	} {
		if _, err := h.Refresh(app, issued.RefreshToken, c.parameters...); refusal(err) != c.want || h.State() != before {
			t.Errorf("%s: %s, want %s", what, refusal(err), c.want)
		}
	}
	less, err := h.Refresh(app, issued.RefreshToken, "scope", "read", "resource", "https://roles.test")
	h.Must(err)
	if less.Scope() != "read" || less.IDToken != "" || !slices.Equal(less.Access.Audience, []string{"https://roles.test"}) || !slices.Equal(less.Access.Roles, []string{"admin", "ops"}) {
		t.Errorf("%+v", less)
	}
	all, err := h.Refresh(app, less.RefreshToken)
	h.Must(err)
	if all.Scope() != "openid read write" || all.IDToken == "" || len(all.Access.Audience) != 2 {
		t.Errorf("%+v", all)
	}
	if q, err := h.Refresh(quiet, begun(h, quiet).RefreshToken); err != nil || q.IDToken != "" || q.RefreshToken == "" {
		t.Errorf("%+v %v", q, err)
	}
}

func TestTheTokenOfABrowserRestsForTheGrace(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app := h.Client("app", func(c *clients.Client) {
		signsIn(c)
		c.Hold, c.Origins = clients.HoldCookie, []string{grantstest.Issuer}
	})
	h.User("minji")
	in := h.SignIn("minji")
	issued, err := h.Types.SignedIn(h.Context(), app, in, wanted)
	h.Must(err)
	refresh := func(token string) string {
		h.Helper()
		r := grants.Request{Client: app, GrantType: clients.RefreshToken, Parameters: map[string][]string{"refresh_token": {token}}, SignIn: true}
		grant, err := h.Types.Of(r)
		h.Must(err)
		next, err := grant.Grant(h.Context(), r)
		h.Must(err)
		return next.RefreshToken
	}
	// The client sees no refresh token, and is not registered for refreshing.
	if _, err := h.Refresh(app, issued.RefreshToken); refusal(err) != "unauthorized_client" {
		t.Errorf("%s", refusal(err))
	}
	second := refresh(issued.RefreshToken)
	if second == issued.RefreshToken || refresh(second) != second || refresh(issued.RefreshToken) != second {
		t.Error("three tabs get one successor")
	}
	// A token that a browser uses is replaced before it expires.
	h.Later(4 * 24 * time.Hour)
	if refresh(second) == second {
		t.Error("it rests though more than half of its life is over")
	}
}

func TestIntrospectionOfARefreshTokenChangesNothing(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app, other := h.Client("app"), h.Client("other")
	h.User("minji")
	var tokens []string
	for next := begun(h, app); len(tokens) < 3; {
		tokens = append(tokens, next.RefreshToken)
		var err error
		next, err = h.Refresh(app, next.RefreshToken)
		h.Must(err)
	}
	before := h.State()
	for i, want := range []bool{false, false, true} { // of four tokens, the third is the previous one
		read, err := h.Types.Issuer.ReadRefresh(h.Context(), tokens[i])
		h.Must(err)
		for client, want := range map[*clients.Client]bool{app: want, other: false} {
			if g, live, err := h.Types.Refreshes(h.Context(), read, client); err != nil || live != want || live != (g.ID != "") {
				t.Errorf("token %d of %s: %t %v", i, client.ID, live, err)
			}
		}
	}
	if h.State() != before {
		t.Error("something changed")
	}
}
