package masterkey_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
)

func TestANoteOpensForItsPurposeBesideWhatItIsAboutAndForAWhile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	master, path := newMaster(t, "")
	const life = 10 * time.Minute
	note, about := []byte("a note of "+strings.Repeat("x", 40)), []byte("client_id=app&state=s")
	notes := masterkey.NewNotes(master, "test", life, clock)
	sealed, err := notes.Seal(note, about)
	must(t, err)
	if raw, err := base64.RawURLEncoding.DecodeString(sealed); err != nil || strings.Contains(string(raw), "a note") {
		t.Errorf("%q, %v", sealed, err)
	}
	if again, _ := notes.Seal(note, about); again == sealed {
		t.Error("the same note is sealed alike twice")
	}
	// A second instance with the same master key, and one with its successor.
	second, err := masterkey.Open(path)
	must(t, err)
	next, _ := newMaster(t, path)
	stranger, _ := newMaster(t, "")
	inKey, err := master.Seal(keys.Tokens, "a", note)
	must(t, err)
	flipped := []byte(sealed)
	flipped[len(flipped)/2] ^= 1
	for what, o := range map[string]struct {
		by          *masterkey.Key
		purpose     string
		text, about string
		good        bool
	}{
		"by itself":                  {master, "test", sealed, string(about), true},
		"by another instance":        {second, "test", sealed, string(about), true},
		"by the next master key":     {next, "test", sealed, string(about), true},
		"by another master key":      {stranger, "test", sealed, string(about), false},
		"for another purpose":        {master, "tes", sealed, "t\x00" + string(about), false},
		"about something else":       {master, "test", sealed, "client_id=other&state=s", false},
		"about nothing":              {master, "test", sealed, "", false},
		"nothing":                    {master, "test", "", string(about), false},
		"rubbish":                    {master, "test", "%!", string(about), false},
		"a part of it":               {master, "test", sealed[:len(sealed)/2], string(about), false},
		"changed":                    {master, "test", string(flipped), string(about), false},
		"with something behind":      {master, "test", sealed + "AAAA", string(about), false},
		"a private key's sealed one": {master, "test", base64.RawURLEncoding.EncodeToString(inKey), string(about), false},
	} {
		got, ok := masterkey.NewNotes(o.by, o.purpose, life, clock).Open(o.text, []byte(o.about))
		if ok != o.good || ok && string(got) != string(note) {
			t.Errorf("%s: %q, %t", what, got, ok)
		}
	}
	if raw, _ := base64.RawURLEncoding.DecodeString(sealed); raw != nil {
		if _, err := master.Open(keys.Tokens, "a", raw); err == nil {
			t.Error("a note opens as a private key")
		}
	}
	for _, step := range []struct {
		pass time.Duration
		good bool
	}{{life - time.Millisecond, true}, {time.Millisecond, false}, {time.Hour, false}} {
		now = now.Add(step.pass)
		if _, ok := notes.Open(sealed, about); ok != step.good {
			t.Errorf("at %s: %t", now, ok)
		}
	}
}
