package signin_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage/storagetest"
)

// another is a password that a user chooses in the place of secret.
const another = "what a person thought of alone"

var here = signin.Visitor{Address: "192.0.2.1"}

// forOnce registers a user whose password must be changed.
func (h house) forOnce(username string) {
	h.Helper()
	err := h.store.CreateUser(h.Context(), accounts.User{ID: username, Username: username, Password: h.hash, MustChange: true}, audit.Event{At: time.Now()})
	if err != nil {
		h.Fatal(err)
	}
}

// note signs in with a password that must be changed, and returns the note that this was
// right.
func (h house) note(username, password string) string {
	h.Helper()
	_, err := h.signIn.Do(h.Context(), username, password, here)
	var must *signin.MustChangeError
	if !errors.As(err, &must) || must.Note == "" || must.User.Username != username {
		h.Fatalf("%v", err)
	}
	return must.Note
}

// link makes a link and returns its token.
func (h house) link(id string, kind accounts.LinkKind) string {
	h.Helper()
	_, token, err := h.users.MakeLink(h.Context(), id, kind, 0, nil, "", "test")
	if err != nil {
		h.Fatal(err)
	}
	return token
}

func TestAPasswordForOnceIsGoodForANewOneAlone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	h.forOnce("ann")
	if _, err := h.try("ann", "wrong", here.Address); !errors.Is(err, signin.ErrWrong) {
		t.Errorf("a wrong one: %v", err)
	}
	app := here
	app.ClientID = "app"
	var must *signin.MustChangeError
	if _, err := h.signIn.Do(t.Context(), "ann", secret, app); !errors.As(err, &must) || must.Note != "" {
		t.Errorf("an app: %v", err)
	}
	u, err := h.users.ByID(t.Context(), "ann")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.signIn.Change(t.Context(), u, secret, another, "", here); !errors.As(err, &must) {
		t.Errorf("the account: %v", err)
	}
	// Right passwords do not count as guesses, however often.
	var notes []string
	for range 5 {
		notes = append(notes, h.note("ann", secret))
	}
	for new, want := range map[string]error{secret: signin.ErrSame, "short": accounts.ErrInvalid, "ann": accounts.ErrInvalid} {
		if _, err := h.signIn.SetNew(t.Context(), notes[0], new, here); !errors.Is(err, want) {
			t.Errorf("%q: %v", new, err)
		}
	}
	for _, forged := range []string{"", "x", notes[0] + "A", notes[0][:len(notes[0])-4]} {
		if _, err := h.signIn.SetNew(t.Context(), forged, another, here); !errors.Is(err, signin.ErrTooLate) {
			t.Errorf("%q: %v", forged, err)
		}
	}
	in, err := h.signIn.SetNew(t.Context(), notes[0], another, here)
	if err != nil || in.User.ID != "ann" || in.User.MustChange {
		t.Fatalf("%+v %v", in.User, err)
	}
	if s, _, err := h.sessions.Find(t.Context(), in.Secret); err != nil || len(s.Methods) != 1 || s.Methods[0] != "pwd" {
		t.Errorf("%+v %v", s, err)
	}
	for _, used := range notes {
		if _, err := h.signIn.SetNew(t.Context(), used, "the choice of somebody else", here); !errors.Is(err, signin.ErrTooLate) {
			t.Errorf("a used note: %v", err)
		}
	}
	if _, err := h.try("ann", secret, here.Address); !errors.Is(err, signin.ErrWrong) {
		t.Errorf("the former password: %v", err)
	}
	if name, err := h.try("ann", another, here.Address); err != nil || name != "ann" {
		t.Errorf("the new password: %v", err)
	}
}

// TestANoteEndsWithThePasswordThatItIsAbout: whoever has typed the former password must not
// overwrite the next one with it, nor get in after their account was closed.
func TestANoteEndsWithThePasswordThatItIsAbout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	for name, end := range map[string]func(accounts.User) error{
		"renewed": func(u accounts.User) error {
			return h.users.SetPasswordForOnce(t.Context(), u, another, nil, "", "test")
		},
		"set":    func(u accounts.User) error { return h.users.SetPassword(t.Context(), u, another, nil, "", "test") },
		"closed": func(u accounts.User) error { return h.users.Disable(t.Context(), u.ID, nil, "", "test") },
		"gone":   func(u accounts.User) error { return h.users.Delete(t.Context(), u.ID, nil, "", "test") },
	} {
		h.forOnce(name)
		note := h.note(name, secret)
		u, err := h.users.ByID(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if err := end(u); err != nil {
			t.Fatal(err)
		}
		if _, err := h.signIn.SetNew(t.Context(), note, "a choice that comes too late", here); !errors.Is(err, signin.ErrTooLate) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhoeverHasNoPasswordSignsInByNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 100)
	if _, err := h.users.CreateWithoutPassword(t.Context(), accounts.User{Username: "ann"}, "test"); err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"", " ", secret, "ann"} {
		if _, err := h.try("ann", password, here.Address); !errors.Is(err, signin.ErrWrong) {
			t.Errorf("%q: %v", password, err)
		}
	}
}

func TestALinkSetsAPasswordOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	u, err := h.users.CreateWithoutPassword(t.Context(), accounts.User{Username: "ann"}, "test")
	if err != nil {
		t.Fatal(err)
	}
	token := h.link(u.ID, accounts.Invitation)
	if len(token) != 43 {
		t.Errorf("the token is %q", token)
	}
	// Looking does nothing, nor does a password that will not do; and the user is the same
	// under another name.
	if _, _, err := h.users.Update(t.Context(), u.ID, func(u *accounts.User, _ accounts.Others) error { u.Username = "ann2"; return nil }, "", "test"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if got, err := h.signIn.LinkOwner(t.Context(), token, here); err != nil || got.Username != "ann2" {
			t.Errorf("%+v %v", got, err)
		}
		if got, err := h.signIn.UseLink(t.Context(), token, "ann2", here); !errors.Is(err, accounts.ErrInvalid) || got.Username != "ann2" {
			t.Errorf("%+v %v", got, err)
		}
	}
	results := make([]error, 6)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { _, results[i] = h.signIn.UseLink(t.Context(), token, fmt.Sprint(another, i), here) })
	}
	all.Wait()
	won := -1
	for i, err := range results {
		switch {
		case err == nil && won < 0:
			won = i
		case !errors.Is(err, accounts.ErrNoLink):
			t.Errorf("%d: %v", i, err)
		}
	}
	if name, err := h.try("ann2", fmt.Sprint(another, won), "192.0.2.2"); err != nil || name != "ann2" {
		t.Errorf("%v", err)
	}
	if _, _, err := h.users.MakeLink(t.Context(), u.ID, accounts.Invitation, 0, nil, "", "test"); !errors.Is(err, accounts.ErrHasPassword) {
		t.Errorf("invited again: %v", err)
	}
	again := h.link(u.ID, accounts.Reset)
	if err := h.users.Disable(t.Context(), u.ID, nil, "", "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := h.signIn.UseLink(t.Context(), again, another, here); !errors.Is(err, accounts.ErrNoLink) {
		t.Errorf("of a disabled user: %v", err)
	}
	if _, _, err := h.users.MakeLink(t.Context(), u.ID, accounts.Reset, 0, nil, "", "test"); !errors.Is(err, accounts.ErrLinkDisabled) {
		t.Errorf("for a disabled user: %v", err)
	}
	events, err := storagetest.Events(t.Context(), h.store, audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", events); strings.Contains(text, token) || strings.Contains(text, again) || strings.Contains(text, another) || !strings.Contains(text, string(audit.UserLinkMade)) {
		t.Errorf("the audit: %s", text)
	}
}

func TestALinkLivesAsLongAsItMay(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 3)
	h.user("ann", "")
	for _, c := range []struct {
		kind accounts.LinkKind
		life time.Duration
		ok   bool
	}{
		{accounts.Reset, 0, true}, {accounts.Reset, 24 * time.Hour, true}, {accounts.Reset, 25 * time.Hour, false},
		{accounts.Reset, time.Minute, false}, {accounts.Reset, -time.Hour, false}, {accounts.Invitation, 15 * 24 * time.Hour, false},
		{"forever", time.Hour, false}, {"", 0, false},
	} {
		l, token, err := h.users.MakeLink(t.Context(), "ann", c.kind, c.life, nil, "", "test")
		if c.ok != (err == nil) || !c.ok && (!errors.Is(err, accounts.ErrInvalid) || token != "") {
			t.Errorf("%s for %s: %v", c.kind, c.life, err)
		}
		want := c.life
		if want == 0 {
			want = time.Hour
		}
		if c.ok && l.ExpiresAt.Sub(l.CreatedAt) != want {
			t.Errorf("%s for %s is good for %s", c.kind, c.life, l.ExpiresAt.Sub(l.CreatedAt))
		}
	}
}

func TestWhoeverGuessesLinksIsHeardNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 1) // ten from an address
	h.user("ann", "")
	token := h.link("ann", accounts.Reset)
	var tooMany *throttle.TooManyError
	for i := range 10 {
		if _, err := h.signIn.LinkOwner(t.Context(), fmt.Sprint("guess", i), here); !errors.Is(err, accounts.ErrNoLink) {
			t.Fatalf("%d: %v", i, err)
		}
	}
	if _, err := h.signIn.UseLink(t.Context(), "guess", another, here); !errors.As(err, &tooMany) {
		t.Errorf("%v", err)
	}
	if _, err := h.signIn.LinkOwner(t.Context(), token, here); !errors.As(err, &tooMany) {
		t.Errorf("the right one from there: %v", err)
	}
	// Nobody else is kept out, neither with the link nor with the password.
	elsewhere := signin.Visitor{Address: "198.51.100.1"}
	for range 20 {
		if _, err := h.signIn.LinkOwner(t.Context(), token, elsewhere); err != nil {
			t.Errorf("from elsewhere: %v", err)
		}
	}
	if _, err := h.try("ann", secret, elsewhere.Address); err != nil {
		t.Errorf("%v", err)
	}
}
