package processes

import (
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// asksToSignIn, asksConsent and step tell which step a request has reached.
func (sc screen) asksToSignIn() bool { return strings.Contains(sc.body, `name="password"`) }
func (sc screen) asksConsent() bool  { return strings.Contains(sc.body, `value="allow"`) }

func (sc screen) step() string {
	switch {
	case sc.asksToSignIn():
		return "login"
	case sc.asksConsent():
		return "consent"
	case strings.HasPrefix(sc.to, callback+"?"):
		if r := sc.response(); r.Get("code") == "" {
			return r.Get("error")
		}
		return "code"
	}
	return sc.body
}

func (sc screen) as(user string) screen {
	sc.p.t.Helper()
	return sc.submit("username", user, "password", goodPassword).follow()
}

// TestWhatARequestAsksForStaysAskedUntilItIsDone checks that the server does what prompt
// and max_age ask for once in each request, however long the person takes, and whichever
// user signs in in the end.
func TestWhatARequestAsksForStaysAskedUntilItIsDone(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	var passed atomic.Int64
	d.now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	s, _ := d.startHere()
	asks, ours := d.webClient("app"), d.webClient("ours", "--first-party")
	d.user("minji")
	d.user("junho")
	// Both users have given consent before. So they are asked only if a request
	// demands it, or wants a new scope.
	for _, user := range []string{"minji", "junho"} {
		s.person().signIn(user, asks.request())
	}
	const new, slow, late = "openid read write", 5 * time.Minute, 11 * time.Minute
	type step struct {
		// do is a button on the consent page, or the name of the user who signs
		// in, or "wrong" for a mistyped password. pass is how long the person
		// takes before that.
		do   string
		pass time.Duration
		want string
	}
	for what, c := range map[string]struct {
		app   app
		ask   []string
		first string // what a person who is signed in sees first
		steps []step
	}{
		"nothing":                                         {asks, nil, "code", nil},
		"max_age, denied late":                            {asks, []string{"max_age", "60", "scope", new}, "consent", []step{{"deny", late, "access_denied"}}},
		"max_age, allowed late":                           {asks, []string{"max_age", "60", "prompt", "consent"}, "consent", []step{{"allow", slow, "login"}, {"minji", 0, "consent"}, {"allow", slow, "code"}}},
		"max_age, allowed too late":                       {asks, []string{"max_age", "60", "prompt", "consent"}, "consent", []step{{"allow", late, "login"}, {"minji", 0, "consent"}, {"allow", late, "login"}, {"minji", 0, "consent"}, {"allow", 0, "code"}}},
		"max_age that is long enough":                     {asks, []string{"max_age", "3600", "prompt", "consent"}, "consent", []step{{"allow", late, "code"}}},
		"max_age=0":                                       {asks, []string{"max_age", "0"}, "login", []step{{"minji", 0, "code"}}},
		"max_age=0 and consent":                           {asks, []string{"max_age", "0", "prompt", "consent"}, "login", []step{{"minji", slow, "consent"}, {"allow", slow, "code"}}},
		"prompt=login":                                    {asks, []string{"prompt", "login"}, "login", []step{{"minji", slow, "code"}}},
		"prompt=login as somebody else":                   {asks, []string{"prompt", "login"}, "login", []step{{"junho", 0, "code"}}},
		"prompt=login after a mistyped password":          {asks, []string{"prompt", "login consent"}, "login", []step{{"wrong", 0, "login"}, {"minji", 0, "consent"}, {"allow", slow, "code"}}},
		"prompt=login where no consent is asked":          {ours, []string{"prompt", "login"}, "login", []step{{"minji", 0, "code"}}},
		"prompt=login consent":                            {asks, []string{"prompt", "login consent"}, "login", []step{{"minji", 0, "consent"}, {"allow", slow, "code"}}},
		"prompt=login consent, denied":                    {asks, []string{"prompt", "consent login"}, "login", []step{{"minji", 0, "consent"}, {"deny", slow, "access_denied"}}},
		"prompt=login consent, allowed too late":          {asks, []string{"prompt", "login consent"}, "login", []step{{"minji", 0, "consent"}, {"allow", late, "login"}, {"minji", 0, "consent"}, {"allow", 0, "code"}}},
		"prompt=consent":                                  {asks, []string{"prompt", "consent"}, "consent", []step{{"allow", late, "code"}}},
		"prompt=consent where none is asked":              {ours, []string{"prompt", "consent"}, "consent", []step{{"allow", 0, "code"}}},
		"prompt=consent, of another account":              {asks, []string{"prompt", "consent"}, "consent", []step{{"switch", late, "login"}, {"junho", 0, "consent"}, {"allow", 0, "code"}}},
		"prompt=consent, of another account and back":     {asks, []string{"prompt", "consent"}, "consent", []step{{"switch", 0, "login"}, {"junho", 0, "consent"}, {"switch", 0, "login"}, {"minji", 0, "consent"}, {"allow", 0, "code"}}},
		"prompt=consent, and the same account again":      {asks, []string{"prompt", "consent"}, "consent", []step{{"switch", 0, "login"}, {"minji", 0, "consent"}, {"deny", 0, "access_denied"}}},
		"prompt=login consent, of another account":        {asks, []string{"prompt", "login consent"}, "login", []step{{"minji", 0, "consent"}, {"switch", 0, "login"}, {"junho", slow, "consent"}, {"allow", slow, "code"}}},
		"prompt=select_account":                           {asks, []string{"prompt", "select_account"}, "login", []step{{"junho", 0, "code"}}},
		"prompt=select_account consent":                   {asks, []string{"prompt", "select_account consent"}, "login", []step{{"junho", 0, "consent"}, {"allow", slow, "code"}}},
		"prompt=select_account consent, and yet another":  {asks, []string{"prompt", "select_account consent"}, "login", []step{{"junho", 0, "consent"}, {"switch", 0, "login"}, {"minji", 0, "consent"}, {"allow", 0, "code"}}},
		"a new scope, of another account that has it not": {asks, []string{"scope", "openid email"}, "consent", []step{{"switch", 0, "login"}, {"junho", 0, "consent"}, {"deny", 0, "access_denied"}}},
		"prompt=none and a sign-in that is too old":       {asks, []string{"prompt", "none", "max_age", "0"}, "login_required", nil},
		"an earlier sign-in, which max_age allows":        {asks, []string{"max_age", "3600"}, "code", nil},
		"everything at once":                              {asks, []string{"prompt", "login select_account consent", "max_age", "0"}, "login", []step{{"junho", slow, "consent"}, {"allow", slow, "code"}}},
		"no redirect_uri, of a client with only one":      {asks, []string{"redirect_uri", "", "prompt", "login consent"}, "login", []step{{"minji", 0, "consent"}, {"allow", slow, "code"}}},
		"parameters that repeat, or that nobody knows":    {asks, []string{"resource", "https://api.test", "display", "a b+c&d=é", "prompt", "login consent"}, "login", []step{{"minji", 0, "consent"}, {"allow", slow, "code"}}},
	} {
		// They run one after the other, because they share the clock.
		t.Run(what, func(t *testing.T) {
			p := s.person()
			p.t = t
			p.get("/login").submit("username", "minji", "password", goodPassword)
			sc := p.get(c.app.request(c.ask...))
			if sc.step() != c.first {
				t.Fatalf("first: %s", sc.step())
			}
			signedInAt := d.now()
			for i, step := range c.steps {
				passed.Add(int64(step.pass))
				switch step.do {
				case "allow", "deny", "switch":
					sc = sc.submit("decision", step.do).follow()
				case "wrong":
					sc = sc.submit("username", "minji", "password", "wrong").follow()
				default:
					signedInAt = d.now()
					sc = sc.as(step.do)
				}
				if sc.step() != step.want {
					t.Fatalf("step %d, %s: %s", i+1, step.do, sc.step())
				}
			}
			r := sc.response()
			if r.Get("state") != "s" || r.Get("iss") != d.issuer || strings.Contains(sc.to, "ingam") {
				t.Errorf("sent to %s", sc.to)
			}
			if r.Has("code") {
				changed := []string{}
				if len(c.ask) > 0 && c.ask[0] == "redirect_uri" {
					changed = []string{"redirect_uri", ""}
				}
				id := part(t, c.app.redeem(s, r.Get("code"), changed...).tokens(t).ID, 1)
				if at := time.Unix(int64(id["auth_time"].(float64)), 0); at.Sub(signedInAt).Abs() > 30*time.Second {
					t.Errorf("auth_time is %s, and the sign-in was at %s", at, signedInAt)
				}
			}
		})
	}
}

// TestWhatIsDoneForOneRequestIsDoneForNoOther checks that the note that a person has
// signed in is accepted only for the same request, in the same browser and after the same
// sign-in.
func TestWhatIsDoneForOneRequestIsDoneForNoOther(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	var passed atomic.Int64
	d.now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	s, _ := d.startHere()
	a, other := d.webClient("app"), d.webClient("other")
	other.verifier = a.verifier
	d.user("minji")
	d.user("junho")
	for _, c := range []app{a, other} {
		s.person().signIn("minji", c.request())
		s.person().signIn("junho", c.request())
	}
	const parameter = "ingam_done"
	// done signs someone in for a request. It returns the browser, and the address at
	// which the request continued.
	done := func(t *testing.T, user, request string) (*person, *url.URL) {
		t.Helper()
		p := s.person()
		p.t = t
		sc := p.get(request).submit("username", user, "password", goodPassword)
		to, err := url.Parse(sc.to)
		if err != nil || to.Query().Get(parameter) == "" {
			t.Fatalf("%d to %s", sc.status, sc.to)
		}
		return p, to
	}
	// with adds to a request the note of what was done for another request.
	with := func(request string, from *url.URL) string {
		return request + "&" + url.Values{parameter: {from.Query().Get(parameter)}}.Encode()
	}
	ask := func(changed ...string) string { return a.request(append([]string{"prompt", "login"}, changed...)...) }
	in := func(t *testing.T, p *person, user string) *person {
		t.Helper()
		p.get("/login").submit("username", user, "password", goodPassword)
		return p
	}
	for what, test := range map[string]func(t *testing.T) (sc screen, want string){
		"the request itself goes on, and once more": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			if sc := p.get(to.String()); sc.step() != "code" {
				t.Error(sc.step())
			}
			return p.get(to.String()), "code"
		},
		"the order of parameters is not what was asked": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(ask(), to)), "code"
		},
		"another client's request": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(other.request("prompt", "login"), to)), "login"
		},
		"another state": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(ask("state", "t"), to)), "login"
		},
		"a smaller scope": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(ask("scope", "openid"), to)), "login"
		},
		"another nonce": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(ask("nonce", "m"), to)), "login"
		},
		"another max_age": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(ask("max_age", "0"), to)), "login"
		},
		"a parameter that nobody knows": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(ask("x", "y"), to)), "login"
		},
		"somebody else's browser": func(t *testing.T) (screen, string) {
			_, to := done(t, "minji", ask())
			return in(t, s.person(), "junho").get(to.String()), "login"
		},
		"another browser of the same person": func(t *testing.T) (screen, string) {
			_, to := done(t, "minji", ask())
			return in(t, s.person(), "minji").get(to.String()), "login"
		},
		"a browser where nobody is signed in": func(t *testing.T) (screen, string) {
			_, to := done(t, "minji", ask())
			return s.person().get(to.String()), "login"
		},
		"after somebody else signed in in another tab": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			in(t, p, "junho")
			return p.get(to.String()), "login"
		},
		"after signing in again in another tab": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			passed.Add(int64(time.Second))
			in(t, p, "minji")
			return p.get(to.String()), "login"
		},
		"after signing out in another tab": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			p.get("/logout").submit("decision", "out")
			return p.get(to.String()), "login"
		},
		"after ten minutes": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			passed.Add(int64(10*time.Minute + time.Second))
			return p.get(to.String()), "login"
		},
		"given twice": func(t *testing.T) (screen, string) {
			p, to := done(t, "minji", ask())
			return p.get(with(to.String(), to)), "invalid_request"
		},
		"forged": func(t *testing.T) (screen, string) {
			p, _ := done(t, "minji", ask())
			return p.get(ask() + "&" + parameter + "=" + strings.Repeat("QUFB", 30)), "login"
		},
		"not even text": func(t *testing.T) (screen, string) {
			return s.person().get(ask() + "&" + parameter + "=%00"), "login"
		},
		"forged, where nothing needs to be done": func(t *testing.T) (screen, string) {
			return in(t, s.person(), "minji").get(a.request() + "&" + parameter + "=x"), "code"
		},
		"of a page's form that was edited": func(t *testing.T) (screen, string) {
			p, _ := done(t, "minji", ask())
			sc := p.get(ask("prompt", "consent"))
			form := mustQuery(t, "?"+sc.form.Get("request"))
			form.Set("prompt", "login consent")
			return sc.submit("decision", "allow", "request", form.Encode()).follow(), "login"
		},
		"prompt=none does not accept it": func(t *testing.T) (screen, string) {
			// The hidden field of the page was edited. The server itself does
			// not show the sign-in page for such a request.
			p := s.person()
			then := a.request("prompt", "none", "max_age", "1")
			sc := p.get("/login").submit("username", "minji", "password", goodPassword, "then", then)
			passed.Add(int64(5 * time.Second))
			return p.get(sc.to), "login_required"
		},
	} {
		t.Run(what, func(t *testing.T) {
			if sc, want := test(t); sc.step() != want {
				t.Errorf("%s, and not %s", sc.step(), want)
			}
		})
	}
	if log := s.log.String(); strings.Contains(log, parameter+"=") {
		t.Error("it is in the log")
	}
}

// TestWhatIsDoneAtOneInstanceIsDoneAtTheOthers checks that a person can sign in at one
// instance and continue at another, also while the master key is replaced.
func TestWhatIsDoneAtOneInstanceIsDoneAtTheOthers(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, d *deployment) {
		first := d.start()
		second := d.startAt(freeAddress(t))
		next := filepath.Join(d.dir, "next.key")
		d.must("master-key", "new", "--out", next, "--from", d.masterKey)
		third := d.startAt(freeAddress(t), "INGAM_MASTER_KEY_FILE="+next)
		stranger := emptyDeployment(t, "").start()
		a := d.webClient("app")
		d.user("minji")
		for what, c := range map[string]struct {
			signIn, goOn, allow *server
			want                string
		}{
			"at one":                                 {first, first, first, "consent"},
			"at two":                                 {first, second, first, "consent"},
			"at three, one with the next master key": {second, third, first, "consent"},
			"at one with the next master key, and on": {third, third, third, "consent"},
		} {
			t.Run(what, func(t *testing.T) {
				p := c.signIn.person()
				p.t = t
				sc := p.get(a.request("prompt", "login consent")).submit("username", "minji", "password", goodPassword)
				if sc = p.get(c.goOn.url + sc.to); sc.step() != c.want {
					t.Fatal(sc.step())
				}
				form := *sc.form
				form.Set("decision", "allow")
				if sc = p.post(c.allow.url+"/consent", form); sc.step() != "code" {
					t.Fatal(sc.step())
				}
			})
		}
		// Another deployment has another master key.
		p := first.person()
		sc := p.get(a.request("prompt", "login")).submit("username", "minji", "password", goodPassword)
		if sc := p.get(stranger.url + sc.to); sc.status != http.StatusBadRequest {
			t.Errorf("%d %s", sc.status, sc.body)
		}
	})
}

// TestAnIDTokenHintIsAHint checks that a hint only says which user the client expects. If
// it cannot be read, or names another user than the one who is signed in, the person is
// asked to sign in once. If it names a user, the client never gets a code of another user.
func TestAnIDTokenHintIsAHint(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	var passed atomic.Int64
	d.now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	d.settings = append(d.settings, "INGAM_SESSIONS_IDLE_TTL=7d")
	s, _ := d.startHere()
	a, other := d.webClient("app", "--first-party"), d.webClient("other", "--first-party")
	minji, junho := d.user("minji"), d.user("junho")
	withdrawn := a.tokens(s, s.person(), "minji")
	rotated := func(since tokenSet) (set tokenSet) {
		t.Helper()
		d.must("key", "rotate", "--now", "--force")
		eventually(t, "another key signs", time.Minute, func() bool {
			set = a.tokens(s, s.person(), "minji")
			return kidOf(t, set.ID) != kidOf(t, since.ID)
		})
		return set
	}
	gone := rotated(withdrawn)
	set := rotated(gone)
	d.must("key", "withdraw", kidOf(t, withdrawn.ID))
	passed.Store(int64(25 * time.Hour))
	junhos := a.tokens(s, s.person(), "junho")

	for what, c := range map[string]struct {
		hint   string
		silent string // with prompt=none
		first  string
		as     string // the user who then signs in
		then   string
	}{
		"none":                                     {"", "code", "code", "", ""},
		"of the user who is signed in":             {set.ID, "code", "code", "", ""},
		"of a key that is gone":                    {gone.ID, "code", "code", "", ""},
		"of another client":                        {other.tokens(s, s.person(), "minji").ID, "code", "code", "", ""},
		"of somebody else":                         {junhos.ID, "login_required", "login", "junho", "code"},
		"of somebody else, stayed":                 {junhos.ID, "login_required", "login", "minji", "login_required"},
		"of a withdrawn key":                       {withdrawn.ID, "login_required", "login", "minji", "code"},
		"of a withdrawn key, and another signs in": {withdrawn.ID, "login_required", "login", "junho", "code"},
		"rubbish":                                  {"x", "login_required", "login", "minji", "code"},
		"forged":                                   {tamper(set.ID), "login_required", "login", "minji", "code"},
		"an access token":                          {set.Access, "login_required", "login", "minji", "code"},
		"a refresh token":                          {set.Refresh, "login_required", "login", "minji", "code"},
		"too long":                                 {strings.Repeat("x", 17<<10), "login_required", "login", "minji", "code"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			p := s.person()
			p.t = t
			if sc := p.get(a.request("id_token_hint", c.hint)); sc.step() != "login" {
				t.Errorf("where nobody is signed in: %s", sc.step())
			}
			if sc := p.get(a.request("id_token_hint", c.hint, "prompt", "none")); sc.step() != "login_required" {
				t.Errorf("where nobody is signed in, prompt=none: %s", sc.step())
			}
			p.get("/login").submit("username", "minji", "password", goodPassword)
			if sc := p.get(a.request("id_token_hint", c.hint, "prompt", "none")); sc.step() != c.silent {
				t.Errorf("prompt=none: %s", sc.step())
			}
			sc := p.get(a.request("id_token_hint", c.hint))
			if sc.step() != c.first {
				t.Fatalf("first: %s", sc.step())
			}
			if c.as != "" {
				if sc = sc.as(c.as); sc.step() != c.then {
					t.Fatalf("then: %s", sc.step())
				}
			}
			r := sc.response()
			if r.Get("state") != "s" || r.Get("iss") != d.issuer {
				t.Errorf("%v", r)
			}
			if r.Has("code") {
				want := map[string]string{"": minji.ID, "minji": minji.ID, "junho": junho.ID}[c.as]
				if id := part(t, a.redeem(s, r.Get("code")).tokens(t).ID, 1); id["sub"] != want {
					t.Errorf("the code is of %v", id["sub"])
				}
			}
		})
	}
	t.Run("switching accounts on the consent page", func(t *testing.T) {
		p := s.person()
		p.get("/login").submit("username", "minji", "password", goodPassword)
		sc := p.get(a.request("id_token_hint", set.ID, "prompt", "consent")).submit("decision", "switch").as("junho")
		if sc.step() != "login_required" {
			t.Error(sc.step())
		}
	})
}
