package processes

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestSigningOutIsNeverADeadEnd checks that a person can sign out whatever hint or address
// the application sends. Only a request that names two different clients is refused. The
// person is sent back only to an address that is registered for the client that the
// request names.
func TestSigningOutIsNeverADeadEnd(t *testing.T) {
	t.Parallel()
	const bye = "https://app.test/bye"
	const unknown, unregistered = "does not say which one", "is not registered for it"
	d := newDeployment(t).oneAtATime()
	var passed atomic.Int64
	d.now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	d.settings = append(d.settings, "INGAM_SESSIONS_IDLE_TTL=7d")
	s, _ := d.startHere()
	a := d.webClient("app", "--post-logout-redirect-uri", bye)
	other := d.webClient("other")
	deleted, disabled := d.webClient("deleted"), d.webClient("disabled")
	d.user("minji")
	hints := map[string]tokenSet{}
	signIn := func(name string, a app) *person {
		t.Helper()
		p := s.person()
		hints[name] = a.tokens(s, p, "minji", "scope", "openid")
		return p
	}
	// goneToo and goodToo have a hint of their own session. The other hints belong to
	// other sessions.
	signIn("withdrawn", a)
	withdrawn := kidOf(t, hints["withdrawn"].ID)
	d.must("key", "rotate", "--now", "--force")
	eventually(t, "another key signs", time.Minute, func() bool {
		signIn("gone", a)
		return kidOf(t, hints["gone"].ID) != withdrawn
	})
	gone := kidOf(t, hints["gone"].ID)
	goneToo := signIn("gone of this session", a)
	d.must("key", "rotate", "--now", "--force")
	eventually(t, "yet another key signs", time.Minute, func() bool {
		signIn("good", a)
		return kidOf(t, hints["good"].ID) != gone
	})
	d.must("key", "withdraw", withdrawn)
	signIn("of another client", other)
	signIn("of a deleted client", deleted)
	signIn("of a disabled client", disabled)
	d.must("client", "delete", "deleted")
	d.must("client", "disable", "disabled")
	// Sessions live for a week here. A retired key leaves the key set within a day.
	passed.Store(int64(25 * time.Hour))
	if body := s.get("/.well-known/jwks.json").body; strings.Contains(body, gone) {
		t.Fatalf("the key is not gone: %s", body)
	}
	goodToo := signIn("good of this session", a)

	elsewhere := emptyDeployment(t, "").oneAtATime()
	there := elsewhere.start()
	foreign := elsewhere.webClient("app")
	elsewhere.user("minji")
	strange := foreign.tokens(there, there.person(), "minji", "scope", "openid").ID

	q := func(pairs ...string) url.Values {
		v := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			v.Set(pairs[i], pairs[i+1])
		}
		return v
	}
	back := func(pairs ...string) url.Values {
		return q(append(pairs, "post_logout_redirect_uri", bye, "state", "s")...)
	}
	type request struct {
		query url.Values
		// to is where the person is sent in the end; says is what the pages say.
		to, says string
		// p is a person who is signed out without being asked; nil means that the
		// person is asked.
		p *person
	}
	requests := map[string]request{
		"nothing":                               {query: q()},
		"a client and its address":              {query: back("client_id", "app"), to: bye},
		"a hint and its address":                {query: back("id_token_hint", hints["good"].ID), to: bye},
		"a hint of this session":                {query: back("id_token_hint", hints["good of this session"].ID), to: bye, p: goodToo},
		"a hint whose key is gone":              {query: back("id_token_hint", hints["gone"].ID), to: bye},
		"such a hint and its client":            {query: back("id_token_hint", hints["gone"].ID, "client_id", "app"), to: bye},
		"such a hint of this session":           {query: back("id_token_hint", hints["gone of this session"].ID), to: bye, p: goneToo},
		"a hint of a withdrawn key":             {query: back("id_token_hint", hints["withdrawn"].ID), says: unknown},
		"a withdrawn key's hint, and a client":  {query: back("id_token_hint", hints["withdrawn"].ID, "client_id", "app"), to: bye},
		"a withdrawn key's hint and no address": {query: q("id_token_hint", hints["withdrawn"].ID)},
		"a malformed hint":                      {query: back("id_token_hint", "x"), says: unknown},
		"a malformed hint and a client":         {query: back("id_token_hint", "x", "client_id", "app"), to: bye},
		"a forged hint":                         {query: back("id_token_hint", tamper(hints["good"].ID)), says: unknown},
		"a forged hint and a client":            {query: back("id_token_hint", tamper(hints["good"].ID), "client_id", "app"), to: bye},
		"another issuer's hint":                 {query: back("id_token_hint", strange), says: unknown},
		"another issuer's hint and a client":    {query: back("id_token_hint", strange, "client_id", "app"), to: bye},
		"an access token":                       {query: back("id_token_hint", hints["good"].Access), says: unknown},
		"a refresh token and a client":          {query: back("id_token_hint", hints["good"].Refresh, "client_id", "app"), to: bye},
		"a hint longer than any token":          {query: q("id_token_hint", strings.Repeat("x", 17<<10))},
		"an address and nobody":                 {query: back(), says: unknown},
		"another client's address":              {query: back("client_id", "other"), says: unregistered},
		"an address that is not registered":     {query: q("client_id", "app", "post_logout_redirect_uri", "https://evil.test/"), says: unregistered},
		"a hint and no registered address":      {query: q("id_token_hint", hints["good"].ID, "post_logout_redirect_uri", "https://evil.test/"), says: unregistered},
		"an unknown client":                     {query: q("client_id", "nobody")},
		"an unknown client and an address":      {query: back("client_id", "nobody"), says: unknown},
		"no client id that could be":            {query: back("client_id", "\x00"), says: unknown},
		"a disabled client":                     {query: back("client_id", "disabled"), says: unknown},
		"a deleted client's hint":               {query: back("id_token_hint", hints["of a deleted client"].ID), says: unknown},
		"a disabled client's hint":              {query: back("id_token_hint", hints["of a disabled client"].ID), says: unknown},
		"a hint of another client":              {query: back("id_token_hint", hints["of another client"].ID, "client_id", "app"), to: "refused"},
		"another client's hint, its key gone":   {query: back("id_token_hint", hints["gone"].ID, "client_id", "other"), to: "refused"},
		"a hint, and an unknown client":         {query: back("id_token_hint", hints["good"].ID, "client_id", "nobody"), to: "refused"},
		"two clients":                           {query: url.Values{"client_id": {"app", "other"}}, to: "refused"},
	}
	try := func(t *testing.T, c request) {
		p := c.p
		if p == nil {
			p = s.person()
			p.t = t
			p.get("/login").submit("username", "minji", "password", goodPassword)
		}
		// The request is sent twice: by a form of the application, and then by a
		// link.
		hop := p.foreignPost("/logout", c.query)
		sc := p.get("/logout?" + c.query.Encode())
		if c.to == "refused" {
			if sc.status != http.StatusBadRequest || hop.status != http.StatusBadRequest || p.get("/account").status != http.StatusOK {
				t.Errorf("not refused: %d %d", sc.status, hop.status)
			}
			return
		}
		if c.p == nil {
			for _, asked := range []screen{hop.submit(), sc} {
				if asked.status != http.StatusOK || !strings.Contains(asked.body, `value="out"`) || p.get("/account").status != http.StatusOK {
					t.Fatalf("nobody is asked: %d %s", asked.status, asked.body)
				}
				wantNotice(t, asked, c.says)
			}
			sc = sc.submit("decision", "out")
		}
		if p.get("/account").status != http.StatusSeeOther {
			t.Error("still signed in")
		}
		if c.to != "" {
			if sc.to != c.to+"?state=s" {
				t.Errorf("%d to %s", sc.status, sc.to)
			}
			return
		}
		if sc.status != http.StatusOK || sc.to != "" || !strings.Contains(sc.body, "You are signed out") || strings.Contains(sc.body, "evil.test") {
			t.Errorf("%d to %s: %s", sc.status, sc.to, sc.body)
		}
		wantNotice(t, sc, c.says)
		// The person is signed out already. The page says the same.
		wantNotice(t, p.get("/logout?"+c.query.Encode()), c.says)
	}
	t.Run("each", func(t *testing.T) {
		for what, c := range requests {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				try(t, c)
			})
		}
	})
	log := s.log.String()
	for _, why := range []string{"it is not registered for the client", "says whose it is"} {
		if !strings.Contains(log, why) {
			t.Errorf("the log does not say that %s", why)
		}
	}
	for what, set := range hints {
		if strings.Contains(log, set.ID) {
			t.Errorf("the hint %s is in the log", what)
		}
	}
}

func wantNotice(t *testing.T, sc screen, says string) {
	t.Helper()
	shown := strings.Contains(sc.body, "There is no way back")
	if shown != (says != "") || !strings.Contains(sc.body, says) {
		t.Errorf("it says something else than %q: %s", says, sc.body)
	}
}

// foreignPost posts a form as from another site, so that the browser leaves out the
// session cookie. Header fields are given as names and values in turn.
func (p *person) foreignPost(path string, form url.Values, fields ...string) screen {
	p.t.Helper()
	bare := *p
	bare.client = &http.Client{CheckRedirect: p.client.CheckRedirect}
	r, err := http.NewRequest(http.MethodPost, p.s.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	for i := 0; i+1 < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	sc := bare.do(r)
	sc.p = p
	return sc
}
