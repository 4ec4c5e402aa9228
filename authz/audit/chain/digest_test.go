package chain

import (
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/audit"
)

var event = audit.Event{
	ID: 7, At: time.UnixMilli(1772366400123), Actor: "user:u", Action: audit.ClientUpdated, Subject: "shop",
	Reason: "because, it's \"so\"\n", Details: map[string]string{"name": "김민지", "a": "", "é": "🔑"},
}

// TestTheDigestOfAnEventIsWhatOthersCompute: the digest was computed by another language,
// from what docs/audit.md says. It must never change: what was chained would be flawed.
func TestTheDigestOfAnEventIsWhatOthersCompute(t *testing.T) {
	t.Parallel()
	const bytes = "13:ingam audit 1,64:0000000000000000000000000000000000000000000000000000000000000000,1:1,1:7,13:1772366400123," +
		"6:user:u,13:client.update,4:shop,19:because, it's \"so\"\n,1:a,0:,4:name,9:김민지,2:é,4:🔑,"
	if got := string(canonical(Digest{}, 1, event)); got != bytes {
		t.Errorf("%q", got)
	}
	if got := Follow(Digest{}, 1, event).Digest.String(); got != "a191512e72a57c328ccccdae99d418f686f5ae18e0b8c2b6f02fd1e836452c3b" {
		t.Error(got)
	}
}

func TestNothingOfAnEventCanBeChangedUnderItsDigest(t *testing.T) {
	t.Parallel()
	seen := map[Digest]string{}
	add := func(what string, l Link) {
		t.Helper()
		if other, is := seen[l.Digest]; is {
			t.Errorf("%s has the digest of %s", what, other)
		}
		seen[l.Digest] = what
	}
	add("the event", Follow(Digest{}, 1, event))
	add("another number", Follow(Digest{}, 2, event))
	add("after another", Follow(Digest{1}, 1, event))
	for what, change := range map[string]func(*audit.Event){
		"another id":      func(e *audit.Event) { e.ID++ },
		"a millisecond":   func(e *audit.Event) { e.At = e.At.Add(time.Millisecond) },
		"another actor":   func(e *audit.Event) { e.Actor = "user:v" },
		"another action":  func(e *audit.Event) { e.Action = audit.ClientDeleted },
		"another subject": func(e *audit.Event) { e.Subject = "shop2" },
		"another reason":  func(e *audit.Event) { e.Reason = "" },
		// Texts that would be the same one after the other.
		"moved texts":      func(e *audit.Event) { e.Subject, e.Reason = e.Subject+e.Reason, "" },
		"a netstring":      func(e *audit.Event) { e.Reason += ",1:a,0:" },
		"no details":       func(e *audit.Event) { e.Details = nil },
		"a detail less":    func(e *audit.Event) { e.Details = map[string]string{"name": "김민지", "é": "🔑"} },
		"another value":    func(e *audit.Event) { e.Details = map[string]string{"name": "김민지", "a": "b", "é": "🔑"} },
		"another name":     func(e *audit.Event) { e.Details = map[string]string{"name": "김민지", "b": "", "é": "🔑"} },
		"another spelling": func(e *audit.Event) { e.Details = map[string]string{"name": "김민지", "a": "", "e\u0301": "🔑"} },
	} {
		other := event
		change(&other)
		add(what, Follow(Digest{}, 1, other))
	}
	// What is no part of an event changes nothing.
	same := event
	same.At = same.At.In(time.FixedZone("", 3600)).Add(time.Microsecond)
	if Follow(Digest{}, 1, same).Digest != Follow(Digest{}, 1, event).Digest {
		t.Error("the zone, or what is not stored of a time, counts")
	}
}

func TestAHeadThatIsKeptIsReadAsItIsPrinted(t *testing.T) {
	t.Parallel()
	want := Mark{12, Follow(Digest{}, 1, event).Digest}
	var got Mark
	if err := got.UnmarshalText([]byte(want.String())); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"", "12", "12:", ":" + want.Digest.String(), "0:" + want.Digest.String(), "-1:" + want.Digest.String(), "12:" + strings.Repeat("z", 64), "12:" + want.Digest.String() + "00", want.String() + ":"} {
		if err := new(Mark).UnmarshalText([]byte(text)); err == nil || !strings.Contains(err.Error(), "NUMBER:DIGEST") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if b, err := (Mark{}).MarshalText(); err != nil || len(b) != 0 {
		t.Errorf("%q, %v", b, err)
	}
}
