package grants_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/grants/grantstest"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/storage/storagetest"
)

// refusal returns an error as these tests write it: its code and, after a colon, the reason
// in the metrics.
func refusal(err error) string {
	var refused *protocol.Error
	switch {
	case err == nil:
		return "none"
	case !errors.As(err, &refused):
		return "a fault: " + err.Error()
	case refused.Cause == nil:
		return string(refused.Code)
	}
	return string(refused.Code) + ": " + string(protocol.ReasonOf(err))
}

// events returns the audit events with an action.
func events(h *grantstest.House, what audit.Action) []audit.Event {
	h.Helper()
	all, err := storagetest.Events(h.Context(), h.Store, audit.Query{})
	h.Must(err)
	return slices.DeleteFunc(all, func(e audit.Event) bool { return e.Action != what })
}

func bare(c *grants.Code) { c.Challenge, c.RedirectURI = "", "" }

func TestACodeIsRefusedToWhoeverLacksWhatBelongsToIt(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app, other := h.Client("app"), h.Client("other")
	h.User("minji")
	in := h.SignIn("minji")
	code := h.Code(in, "app")
	open := h.Code(in, "app", func(c *grants.Code) { c.Challenge = "" })
	for what, c := range map[string]struct {
		client     *clients.Client
		code       string
		parameters []string
		want       string
	}{
		"another client":            {other, code, nil, "invalid_grant: other_client"},
		"a wrong verifier":          {app, code, []string{"code_verifier", strings.Repeat("x", 43)}, "invalid_grant: wrong_verifier"},
		"a short verifier":          {app, code, []string{"code_verifier", "x"}, "invalid_grant: wrong_verifier"},
		"a long verifier":           {app, code, []string{"code_verifier", strings.Repeat("x", 129)}, "invalid_grant: wrong_verifier"},
		"no verifier":               {app, code, []string{"code_verifier", ""}, "invalid_request"},
		"another redirect_uri":      {app, code, []string{"redirect_uri", grantstest.Callback + "/"}, "invalid_grant: other_redirect"},
		"no code":                   {app, "", nil, "invalid_request"},
		"rubbish":                   {app, "rubbish", nil, "invalid_grant: unknown"},
		"an API that was not asked": {app, code, []string{"resource", "https://roles.test"}, "invalid_target"},
		"a challenge taken out":     {app, open, nil, "invalid_grant: wrong_verifier"},
		"neither of the two":        {app, open, []string{"code_verifier", "", "redirect_uri", ""}, "invalid_request"},
		"a code without PKCE":       {app, open, []string{"code_verifier", ""}, "invalid_grant: unprotected"},
	} {
		if _, err := h.Redeem(c.client, c.code, c.parameters...); refusal(err) != c.want {
			t.Errorf("%s: %s, want %s", what, refusal(err), c.want)
		}
	}
	if got := h.State(); got != "" {
		t.Errorf("something began: %s", got)
	}
	if _, err := h.Redeem(app, code); err != nil {
		t.Errorf("what was refused to others: %v", err)
	}
}

func TestACodeExpiresAndIsUsedOnce(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app, other := h.Client("app"), h.Client("other")
	h.User("minji")
	in := h.SignIn("minji")
	code := h.Code(in, "app")
	issued, err := h.Redeem(app, code)
	h.Must(err)
	if issued.AccessToken == "" || issued.IDToken == "" || issued.RefreshToken == "" || issued.Scope() != "openid read" || issued.ExpiresIn() != 15*time.Minute {
		t.Errorf("%+v", issued)
	}
	// Another client that replays the code ends nothing.
	before := h.State()
	for what, ask := range map[string]func() (grants.Issued, error){
		"another client":   func() (grants.Issued, error) { return h.Redeem(other, code) },
		"a wrong verifier": func() (grants.Issued, error) { return h.Redeem(app, code, "code_verifier", strings.Repeat("x", 43)) },
	} {
		if _, err := ask(); !strings.HasPrefix(refusal(err), "invalid_grant") || h.State() != before {
			t.Errorf("%s: %s", what, refusal(err))
		}
	}
	if _, err := h.Redeem(app, code); refusal(err) != "invalid_grant: reused" {
		t.Errorf("%s", refusal(err))
	}
	if _, err := h.Refresh(app, issued.RefreshToken); refusal(err) != "invalid_grant: revoked" {
		t.Errorf("after a replay: %s", refusal(err))
	}
	if all := events(h, audit.CodeReused); len(all) != 1 || all[0].Subject != issued.Access.GrantID || all[0].Actor != audit.Client("app") || all[0].Details["user"] != "minji" {
		t.Errorf("%+v", all)
	}

	late := h.Code(in, "app")
	h.Later(grants.CodeLife)
	if _, err := h.Redeem(app, late); refusal(err) != "invalid_grant: expired" {
		t.Errorf("%s", refusal(err))
	}
}

func TestWhatWasLeftOutOfTheRequestMayBeLeftOutAgain(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	app := h.Client("app", func(c *clients.Client) { c.PKCE = clients.PKCEOptional })
	h.User("minji")
	in := h.SignIn("minji")
	left := func(c *grants.Code) { c.RedirectURI = "" }
	for what, c := range map[string]struct {
		change   func(*grants.Code)
		redirect string
		verifier string
		want     string
	}{
		"left out":                    {left, "", grantstest.Verifier, "none"},
		"the default":                 {left, grantstest.Callback, grantstest.Verifier, "none"},
		"another than the default":    {left, grantstest.Callback + "/", grantstest.Verifier, "invalid_grant: other_redirect"},
		"what the verifier protects":  {func(*grants.Code) {}, "", grantstest.Verifier, "none"},
		"no challenge, as registered": {bare, "", "", "none"},
	} {
		if _, err := h.Redeem(app, h.Code(in, "app", c.change), "redirect_uri", c.redirect, "code_verifier", c.verifier); refusal(err) != c.want {
			t.Errorf("%s: %s, want %s", what, refusal(err), c.want)
		}
	}
}

func TestOnlyAClientThatIsRegisteredForItRefreshes(t *testing.T) {
	t.Parallel()
	h := grantstest.New(t)
	brief := h.Client("brief", func(c *clients.Client) { c.Grants = []string{clients.AuthorizationCode} })
	h.User("minji")
	issued, err := h.Redeem(brief, h.Code(h.SignIn("minji"), "brief"))
	h.Must(err)
	if issued.RefreshToken != "" {
		t.Errorf("%+v", issued)
	}
	g, err := h.Store.Grant(h.Context(), issued.Access.GrantID)
	h.Must(err)
	if g.Refresh.Generation != 0 || g.ExpiresAt.Sub(g.CreatedAt) != 15*time.Minute {
		t.Errorf("%+v", g)
	}
	if _, err := h.Refresh(brief, "anything"); refusal(err) != "unauthorized_client" {
		t.Errorf("%s", refusal(err))
	}
}
