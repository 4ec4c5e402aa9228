package signin_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/signin"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/storage/storagetest"
)

// in signs in the user minji.
func (h house) in(from signin.Visitor) signin.SignedIn {
	h.Helper()
	in, err := h.signIn.Do(h.Context(), "minji", secret, from)
	if err != nil {
		h.Fatal(err)
	}
	return in
}

// begun returns how many login sessions there are.
func (h house) begun() int {
	h.Helper()
	return storagetest.Count(h, h.url, "SELECT COUNT(*) FROM login_sessions")
}

func TestASessionBeginsWithWhatWasProved(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 10)
	h.user("minji", "minji@example.com")
	before := time.Now()
	from := signin.Visitor{Address: "192.0.2.1", UserAgent: "a browser"}
	in := h.in(from)
	stored, user, err := h.sessions.Find(t.Context(), in.Secret)
	if err != nil || user.ID != "minji" {
		t.Fatalf("%+v, %v", user, err)
	}
	if stored.ID != in.Session.ID || !slices.Equal(stored.Methods, []string{"pwd"}) || stored.ContextClass != sessions.OneFactor ||
		stored.Address != "192.0.2.1" || stored.UserAgent != "a browser" || stored.ClientID != "" {
		t.Errorf("stored is %+v", stored)
	}
	if at := stored.AuthenticatedAt; at.Before(before.Add(-time.Second)) || at.After(time.Now()) {
		t.Errorf("authenticated at %v", at)
	}
	if d := cmp.Diff(in.Session.Methods, stored.Methods); d != "" || in.Session.ContextClass != stored.ContextClass {
		t.Errorf("begun is %+v", in.Session)
	}
	// An address that an app's backend tells is not the one that the request comes from.
	from.Told = true
	if _, err := h.signIn.Do(audit.With(t.Context(), &audit.Origin{Address: "198.51.100.1"}), "minji", secret, from); err != nil {
		t.Fatal(err)
	}
	events, err := storagetest.Events(t.Context(), h.store, audit.Query{Action: audit.SessionBegun})
	if err != nil || len(events) != 2 {
		t.Fatalf("%v, %v", events, err)
	}
	if ev := events[0]; ev.Actor != audit.User("minji") || ev.Subject != stored.ID || !cmp.Equal(ev.Details, map[string]string{"user": "minji"}) {
		t.Errorf("%+v", ev)
	}
	if ev := events[1]; !cmp.Equal(ev.Details, map[string]string{"user": "minji", "user_address": "192.0.2.1", "address": "198.51.100.1"}) {
		t.Errorf("%+v", ev)
	}
}

func TestWhatIsNotProvedBeginsNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 10)
	h.user("minji", "")
	h.user("gone", "")
	if err := h.users.Disable(t.Context(), "gone", nil, "", "test"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, password string
		want           signin.WrongError
	}{
		{"minji", "wrong", signin.WrongError{UserID: "minji", Reason: signin.ReasonWrong}},
		{"minji", "", signin.WrongError{UserID: "minji", Reason: signin.ReasonWrong}},
		{"gone", "wrong", signin.WrongError{UserID: "gone", Reason: signin.ReasonWrong}},
		{"gone", secret, signin.WrongError{UserID: "gone", Reason: signin.ReasonDisabled}},
		{"nobody", secret, signin.WrongError{Reason: signin.ReasonUnknown}},
		{"", secret, signin.WrongError{Reason: signin.ReasonUnknown}},
	} {
		in, err := h.signIn.Do(t.Context(), c.name, c.password, signin.Visitor{Address: "192.0.2.1"})
		var wrong *signin.WrongError
		if !errors.As(err, &wrong) || *wrong != c.want || err.Error() != signin.ErrWrong.Error() {
			t.Errorf("%q with %q: %v", c.name, c.password, err)
		}
		if in.Secret != "" || in.Device != "" || in.User.ID != "" {
			t.Errorf("%q with %q leaves %+v", c.name, c.password, in)
		}
	}
	if n := h.begun(); n != 0 {
		t.Errorf("%d sessions began", n)
	}
}

// TestACutWhileThePasswordIsLookedAtLeavesNothing: a user may be cut while the password is
// checked. Then this password signs nobody in, because a thief may have it.
func TestACutWhileThePasswordIsLookedAtLeavesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 10)
	h.user("minji", "")
	giveBack := h.occupy()
	signedIn := make(chan error, 1)
	go func() {
		_, err := h.signIn.Do(t.Context(), "minji", secret, signin.Visitor{Address: "192.0.2.1"})
		signedIn <- err
	}()
	// The attempt is counted for the address, for the account, and for both together.
	// When that is done, the user has been read.
	for storagetest.Count(t, h.url, "SELECT COALESCE(SUM(n), 0) FROM guesses") < 3 {
		time.Sleep(time.Millisecond)
	}
	if err := h.store.CutUser(t.Context(), "minji", audit.Event{At: time.Now(), Actor: "test", Action: audit.UserCut, Subject: "minji"}); err != nil {
		t.Fatal(err)
	}
	giveBack()
	var wrong *signin.WrongError
	if err := <-signedIn; !errors.As(err, &wrong) || *wrong != (signin.WrongError{UserID: "minji", Reason: signin.ReasonCut}) {
		t.Error(err)
	}
	if n := h.begun(); n != 0 {
		t.Errorf("%d sessions began", n)
	}
}

func TestSigningInAgainInABrowserRenewsItsSession(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 10)
	h.user("minji", "")
	h.user("junho", "")
	first := h.in(signin.Visitor{Address: "192.0.2.1"})
	again := h.in(signin.Visitor{Address: "192.0.2.1", Session: first.Session.ID, Device: first.Device})
	if again.Session.ID != first.Session.ID || again.Secret == first.Secret || again.Device != first.Device {
		t.Errorf("again is %+v", again)
	}
	if _, _, err := h.sessions.Find(t.Context(), first.Secret); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("the former cookie is good: %v", err)
	}
	// Another user gets neither the session nor the device by which minji is known.
	other, err := h.signIn.Do(t.Context(), "junho", secret, signin.Visitor{Address: "192.0.2.1", Session: first.Session.ID, Device: first.Device})
	if err != nil || other.Session.ID == first.Session.ID || other.Device == first.Device || !strings.HasPrefix(other.Device, first.Device) {
		t.Errorf("another user is in %+v: %v", other, err)
	}
	for who, want := range map[string]bool{"minji": true, "junho": false} {
		if known, err := h.signIn.Knows(t.Context(), who, first.Device); err != nil || known != want {
			t.Errorf("what minji had is known to be %s's: %t, %v", who, known, err)
		}
	}
	if known, err := h.signIn.Knows(t.Context(), "junho", other.Device); err != nil || !known {
		t.Errorf("%t, %v", known, err)
	}
	// A session that has ended is not renewed.
	if err := h.sessions.End(t.Context(), "minji", first.Session.ID, "", "test"); err != nil {
		t.Fatal(err)
	}
	if anew := h.in(signin.Visitor{Address: "192.0.2.1", Session: first.Session.ID}); anew.Session.ID == first.Session.ID {
		t.Error("an ended session stands again")
	}
}

func TestABrowserIsKnownToItsLastFiveUsers(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 100)
	h.user("minji", "")
	device := h.in(signin.Visitor{Address: "192.0.2.1"}).Device
	for _, who := range []string{"a", "b", "c", "d", "e"} {
		if known, err := h.signIn.Knows(t.Context(), "minji", device); err != nil || !known {
			t.Errorf("before %s: %t, %v", who, known, err)
		}
		h.user(who, "")
		in, err := h.signIn.Do(t.Context(), who, secret, signin.Visitor{Address: "192.0.2.1", Device: device})
		if err != nil {
			t.Fatal(err)
		}
		device = in.Device
	}
	if known, err := h.signIn.Knows(t.Context(), "minji", device); err != nil || known || strings.Count(device, ".") != 4 {
		t.Errorf("after five others: %t, %v, %q", known, err, device)
	}
}

func TestAnAppIsToldWhatItBeganInTheDeviceBefore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 100)
	h.user("minji", "")
	first := h.in(signin.Visitor{Address: "192.0.2.1", ClientID: "app"})
	other := h.in(signin.Visitor{Address: "192.0.2.1", ClientID: "other", Device: first.Device})
	second := h.in(signin.Visitor{Address: "192.0.2.1", ClientID: "app", Device: other.Device})
	if len(first.Former) != 0 || len(other.Former) != 0 || len(second.Former) != 1 || second.Former[0].ID != first.Session.ID {
		t.Errorf("former are %+v, %+v and %+v", first.Former, other.Former, second.Former)
	}
	if second.Session.ID == first.Session.ID || second.Session.ClientID != "app" {
		t.Errorf("the second is %+v", second.Session)
	}
	if err := h.sessions.EndFormer(t.Context(), second.Former); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		in     signin.SignedIn
		stands bool
	}{"the app's first": {first, false}, "another app's": {other, true}, "the app's second": {second, true}} {
		if _, _, err := h.sessions.Find(t.Context(), c.in.Secret); (err == nil) != c.stands {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAKnownBrowserIsHeardWhereOthersAreThrottled: somebody who guesses passwords must not
// lock the user out of a known browser.
func TestAKnownBrowserIsHeardWhereOthersAreThrottled(t *testing.T) {
	t.Parallel()
	h := newHouse(t, 2)
	h.user("minji", "")
	known := h.in(signin.Visitor{Address: "192.0.2.1"})
	throttled := func(what string, want bool, from signin.Visitor) {
		t.Helper()
		_, err := h.signIn.Do(t.Context(), "minji", secret, from)
		tooMany := new(throttle.TooManyError)
		if errors.As(err, &tooMany) != want || !want && err != nil || want && (tooMany.UserID != "minji" || tooMany.RetryAfter < time.Minute) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for range 2 {
		if _, err := h.try("minji", "wrong", "192.0.2.2"); !errors.Is(err, signin.ErrWrong) {
			t.Error(err)
		}
	}
	throttled("where it was guessed", true, signin.Visitor{Address: "192.0.2.2"})
	throttled("elsewhere", false, signin.Visitor{Address: "192.0.2.3"})
	// More and more addresses guess, until the account refuses every unknown browser.
	for i := range 18 {
		if _, err := h.try("minji", "wrong", "198.51.100."+string(rune('a'+i))); !errors.Is(err, signin.ErrWrong) {
			t.Fatal(err)
		}
	}
	throttled("elsewhere, in the end", true, signin.Visitor{Address: "192.0.2.3"})
	throttled("in a device that somebody made up", true, signin.Visitor{Address: "192.0.2.3", Device: strings.Repeat("A", 26)})
	throttled("in the browser that is known", false, signin.Visitor{Address: "192.0.2.2", Device: known.Device})
}
