package passwords

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/ingam/ingam/authz/accounts"
)

func TestWhatMayBeAPassword(t *testing.T) {
	t.Parallel()
	p, err := New(0, Cost{8, 1})
	if err != nil {
		t.Fatal(err)
	}
	u := accounts.User{Username: "kim-minji-4711", Email: "minji.kim.4711@example.com"}
	refused := errors.New("refused for another reason")
	for password, want := range map[string]error{
		"": refused, "Zx9!kq2": ErrLength, "Zx9!kq2v": nil, "ㅋ김민지는좋다": ErrLength, "ㅋ김민지는 좋다!": nil,
		strings.Repeat("Zx9!kq2v", 32): nil, strings.Repeat("Zx9!kq2v", 32) + "w": ErrLength, strings.Repeat("x", 4*MaxLength+1): refused,
		"kim-minji-4711": ErrName, "KIM-minji-4711": ErrName, "Minji.Kim.4711@example.com": ErrName,
		"password": ErrGuessed, "12345678": ErrGuessed, "qwertyuiop": ErrGuessed,
		"a secret\nof 4711": refused, "a secret\x00of 4711": refused,
		"a secret\xff of 4711": refused, "a secret\ufffd of 4711": refused,
	} {
		hash, err := p.Hash(t.Context(), u, password)
		switch {
		case want == nil:
			if err != nil || !strings.HasPrefix(hash, "$argon2id$") {
				t.Errorf("%q: %q, %v", password, hash, err)
			}
		case !errors.Is(err, accounts.ErrInvalid) || want != refused && !errors.Is(err, want) || hash != "":
			t.Errorf("%q: %q, %v", password, hash, err)
		}
		if err != nil && strings.Contains(password, "4711") && strings.Contains(err.Error(), password) {
			t.Errorf("the error says the password: %v", err)
		}
	}
}

func TestAPasswordIsMatchedHoweverItIsTyped(t *testing.T) {
	t.Parallel()
	p, err := New(0, Cost{8, 1})
	if err != nil {
		t.Fatal(err)
	}
	hash, err := p.Hash(t.Context(), accounts.User{Username: "u"}, "é 4711 secrets of a house")
	if err != nil {
		t.Fatal(err)
	}
	for typed, want := range map[string]bool{
		"é 4711 secrets of a house": true, "e\u0301 4711 secrets of a house": true, "é\u00a04711 secrets of a house": true,
		"É 4711 secrets of a house": false, "é 4711 secrets of a house ": false, "": false, "\x00": false, strings.Repeat("x", 2000): false,
	} {
		if ok, err := p.Match(t.Context(), hash, typed); err != nil || ok != want {
			t.Errorf("%q: %t, %v", typed, ok, err)
		}
		// No password matches an empty hash.
		if ok, err := p.Match(t.Context(), "", typed); err != nil || ok {
			t.Errorf("%q is nobody's: %t, %v", typed, ok, err)
		}
	}
	// Checking it is the same work: it has the parameters and the lengths of any other.
	if costs := regexp.MustCompile(`^.*p=1\$`); costs.FindString(p.nobody) != costs.FindString(hash) || len(p.nobody) != len(hash) {
		t.Errorf("nobody has %s, and somebody %s", p.nobody, hash)
	}
	// A hash that cannot be read is a fault, and not a wrong password.
	if ok, err := p.Match(t.Context(), "$2a$04$zzzz", "x"); err == nil || ok || strings.Contains(err.Error(), "zzzz") {
		t.Errorf("%t, %v", ok, err)
	}
}
