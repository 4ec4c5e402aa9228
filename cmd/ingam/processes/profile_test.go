package processes

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestTheBasicProfile checks the requirements of the OpenID Foundation's basic profile,
// one by one.
func TestTheBasicProfile(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	a := d.webClient("app")
	user := d.user("minji", "--claims", `{"name": "Kim Minji", "locale": "ko"}`)
	info := func(t *testing.T, set tokenSet) map[string]any {
		t.Helper()
		return s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access).json(t)
	}
	signedIn := func(t *testing.T) *person {
		t.Helper()
		p := s.person()
		p.signIn("minji", a.request())
		return p
	}
	for name, test := range map[string]func(t *testing.T){
		"a code is used once, and using it again ends what came of it": func(t *testing.T) {
			code := signedIn(t).get(a.request()).response().Get("code")
			set := a.redeem(s, code).tokens(t)
			wantRefused(t, "again", a.redeem(s, code), 400, "invalid_grant")
			if got := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+set.Access); got.status != http.StatusUnauthorized {
				t.Errorf("%d", got.status)
			}
		},
		"the nonce comes back, and none does where none was": func(t *testing.T) {
			p := signedIn(t)
			if id := part(t, a.redeem(s, p.get(a.request("nonce", "a nonce & more")).response().Get("code")).tokens(t).ID, 1); id["nonce"] != "a nonce & more" {
				t.Errorf("%v", id)
			}
			if id := part(t, a.redeem(s, p.get(a.request("nonce", "")).response().Get("code")).tokens(t).ID, 1); id["nonce"] != nil {
				t.Errorf("%v", id)
			}
		},
		"prompt=none without a session is login_required": func(t *testing.T) {
			if r := s.person().get(a.request("prompt", "none")).response(); r.Get("error") != "login_required" {
				t.Errorf("%v", r)
			}
		},
		"prompt=none with a session is a code, for the same user": func(t *testing.T) {
			set := a.redeem(s, signedIn(t).get(a.request("prompt", "none")).response().Get("code")).tokens(t)
			if part(t, set.ID, 1)["sub"] != user.ID {
				t.Error("another user")
			}
		},
		"prompt=login asks again, and auth_time is new": func(t *testing.T) {
			p := signedIn(t)
			if sc := p.get(a.request("prompt", "login")); !strings.Contains(sc.body, `name="password"`) {
				t.Errorf("%d %s", sc.status, sc.to)
			}
		},
		"max_age that has passed asks again": func(t *testing.T) {
			p := signedIn(t)
			if sc := p.get(a.request("max_age", "0")); !strings.Contains(sc.body, `name="password"`) {
				t.Errorf("%d %s", sc.status, sc.to)
			}
		},
		"max_age that has not passed does not ask, and auth_time is there": func(t *testing.T) {
			set := a.redeem(s, signedIn(t).get(a.request("max_age", "10000")).response().Get("code")).tokens(t)
			if part(t, set.ID, 1)["auth_time"] == nil {
				t.Error("no auth_time")
			}
		},
		"id_token_hint of who is signed in needs no question": func(t *testing.T) {
			p := s.person()
			set := a.tokens(s, p, "minji")
			if r := p.get(a.request("prompt", "none", "id_token_hint", set.ID)).response(); r.Get("code") == "" {
				t.Errorf("%v", r)
			}
		},
		"the scope profile gives the claims of a profile": func(t *testing.T) {
			got := info(t, a.tokens(s, s.person(), "minji", "scope", "openid profile"))
			if got["name"] != "Kim Minji" || got["locale"] != "ko" || got["preferred_username"] != "minji" || got["email"] != nil {
				t.Errorf("%v", got)
			}
		},
		"the scope email gives the address": func(t *testing.T) {
			got := info(t, a.tokens(s, s.person(), "minji", "scope", "openid email"))
			if _, said := got["email_verified"]; got["email"] != "minji@test.example" || said || got["name"] != nil {
				t.Errorf("%v", got)
			}
		},
		"the scope openid alone gives the subject": func(t *testing.T) {
			if got := info(t, a.tokens(s, s.person(), "minji", "scope", "openid")); len(got) != 1 || got["sub"] != user.ID {
				t.Errorf("%v", got)
			}
		},
		"userinfo takes the token in the header": func(t *testing.T) {
			set := a.tokens(s, s.person(), "minji")
			for _, scheme := range []string{"Bearer ", "bearer "} {
				if got := s.ask(http.MethodGet, "/userinfo", "Authorization", scheme+set.Access); got.status != http.StatusOK {
					t.Errorf("%s: %d", scheme, got.status)
				}
			}
		},
		"userinfo takes the token in the body of a POST": func(t *testing.T) {
			set := a.tokens(s, s.person(), "minji")
			if got := s.post("/userinfo", "", "", url.Values{"access_token": {set.Access}}); got.status != http.StatusOK {
				t.Errorf("%d %s", got.status, got.body)
			}
		},
		"parameters that are not known are ignored": func(t *testing.T) {
			if r := signedIn(t).get(a.request("extra", "foobar", "display", "page", "acr_values", "1 2", "claims_locales", "se")).response(); r.Get("code") == "" {
				t.Errorf("%v", r)
			}
		},
		"a request object is refused as not supported": func(t *testing.T) {
			if r := s.person().get(a.request("request", "eyJhbGciOiJub25lIn0.e30.")).response(); r.Get("error") != "request_not_supported" {
				t.Errorf("%v", r)
			}
		},
		"a redirect_uri that does not match is shown and not followed": func(t *testing.T) {
			if sc := s.person().get(a.request("redirect_uri", callback+"?foo=bar")); sc.to != "" || sc.status != http.StatusBadRequest || !strings.Contains(sc.body, "redirect_uri") {
				t.Errorf("%d to %s", sc.status, sc.to)
			}
		},
		"the response_mode form_post posts the answer": func(t *testing.T) {
			if sc := signedIn(t).get(a.request("response_mode", "form_post")); sc.post != callback || sc.form.Get("code") == "" {
				t.Errorf("%d %s", sc.status, sc.body)
			}
		},
		"offline_access is accepted, and needed for nothing but to outlive the session": func(t *testing.T) {
			if set := a.tokens(s, s.person(), "minji", "scope", "openid offline_access"); set.Refresh == "" {
				t.Error("no refresh token with offline_access")
			}
			if set := a.tokens(s, s.person(), "minji", "scope", "openid"); set.Refresh == "" {
				t.Error("no refresh token without")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// TestTimeThatStepsBackwardsLosesNobody checks that, after the clock was set back, a
// refresh token does not get a second successor, and a retry is not taken for reuse.
func TestTimeThatStepsBackwardsLosesNobody(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		d.oneAtATime()
		var off atomic.Int64
		d.now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
		s, _ := d.startHere()
		a := d.webClient("app")
		d.user("minji")
		p := s.person()
		token := a.tokens(s, p, "minji").Refresh
		for _, step := range []time.Duration{-20 * time.Second, -time.Hour, time.Minute, -24 * time.Hour, 0} {
			off.Store(int64(step))
			next := a.refresh(s, token).tokens(t).Refresh
			if again := a.refresh(s, token).tokens(t).Refresh; again != next {
				t.Errorf("after a step of %s a retry gets another successor", step)
			}
			token = next
		}
		if sc := p.get("/account"); sc.status != http.StatusOK {
			t.Errorf("the session is lost: %d", sc.status)
		}
		if g := d.grant(t, "app"); g.Revoked || g.Generation != 6 {
			t.Errorf("%+v", g)
		}
	})
}

func TestTheDemonstrationHasSomeoneToSignInAs(t *testing.T) {
	t.Parallel()
	listen := freeAddress(t)
	s, printed := demonstrate(t, t.TempDir(), listen)
	password, _ := demoPasswords(printed)
	if !strings.Contains(printed, "http://"+listen+"/demo\n") || password == "" {
		t.Fatalf("it does not print where to sign in:\n%s", printed)
	}
	p := s.person()
	sc := p.get("/demo?start=1").follow().submit("username", "demo", "password", password).follow()
	sc = sc.submit("decision", "allow").follow()
	for _, want := range []string{"ID token", "Access token", "Refresh token", "&#34;typ&#34;: &#34;at&#43;jwt&#34;", "demo-app"} {
		if !strings.Contains(sc.body, want) {
			t.Errorf("it does not show %q:\n%s", want, sc.body)
		}
	}
	if sc := p.get("/demo?code=x&state=y"); !strings.Contains(sc.body, "did not work") {
		t.Errorf("somebody else's answer is taken: %s", sc.body)
	}
}
