package tokens_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sort"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage/storagetest"
)

const issuer = "https://id.test"

// newIssuer returns an issuer with keys of its own.
func newIssuer(t *testing.T) *tokens.Issuer {
	t.Helper()
	return tokens.NewIssuer(issuer, issuer+"/lists/", newRing(t), time.Now)
}

func newRing(t *testing.T) *keys.Keyring {
	t.Helper()
	return newRingOn(t, storagetest.New(t, storagetest.Engines()[0]), newMaster(t))
}

func newMaster(t *testing.T) *masterkey.Key {
	t.Helper()
	file := t.TempDir() + "/master.key"
	if err := masterkey.Write(file, ""); err != nil {
		t.Fatal(err)
	}
	master, err := masterkey.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	return master
}

// newRingOn returns the key rings of one more server on a database.
func newRingOn(t *testing.T, store keys.Store, master *masterkey.Key) *keys.Keyring {
	t.Helper()
	ring := keys.New(store, master, keys.Policy{
		Bits: 2048, RotateEvery: 24 * time.Hour, JWKSMaxAge: time.Minute, LongestToken: time.Hour, LongestRefresh: time.Hour,
	}, time.Now)
	if err := ring.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	return ring
}

// payload returns the claims of a token, with the numbers as they are written.
func payload(t *testing.T, token string) map[string]json.RawMessage {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]json.RawMessage
	if err := json.Unmarshal(b, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func text(n int) json.RawMessage { return json.RawMessage(`"` + strings.Repeat("x", n) + `"`) }

func TestAnIDTokenHoldsTheClaimsThatFindRoom(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	mint := func(groups ...map[string]json.RawMessage) (string, map[string]json.RawMessage) {
		t.Helper()
		token, err := i.MintID(t.Context(), tokens.ID{ClientID: "app", Subject: "u", Nonce: "n", AuthenticatedAt: time.Now(), Claims: groups}, "access")
		if err != nil {
			t.Fatal(err)
		}
		if len(token) > tokens.MaxID {
			t.Errorf("%d bytes", len(token))
		}
		if id, err := i.ReadHint(t.Context(), token); err != nil || id.Subject != "u" || id.ClientID != "app" {
			t.Errorf("it is no hint: %v %+v", err, id)
		}
		return token, payload(t, token)
	}
	_, bare := mint()
	_, claims := mint(map[string]json.RawMessage{"email": text(10), "n": json.RawMessage("9007199254740993")}, map[string]json.RawMessage{"m": json.RawMessage("1.0")})
	if string(claims["n"]) != "9007199254740993" || string(claims["m"]) != "1.0" || claims["email"] == nil || len(claims) != len(bare)+3 {
		t.Errorf("%.300s", claims)
	}
	// A claim about the token itself is never taken from the user's claims.
	_, claims = mint(map[string]json.RawMessage{"sub": text(1), "iss": text(1), "nonce": text(1), "exp": json.RawMessage("1"), "name": text(1)})
	if string(claims["sub"]) != `"u"` || string(claims["iss"]) != `"`+issuer+`"` || string(claims["nonce"]) != `"n"` || len(claims) != len(bare)+1 {
		t.Errorf("%.300s", claims)
	}
	// A group of claims is included completely or not at all. Later groups may still
	// fit.
	_, claims = mint(map[string]json.RawMessage{"a": text(1000)}, map[string]json.RawMessage{"b": text(2200), "c": text(10)}, map[string]json.RawMessage{"d": text(500)})
	if claims["a"] == nil || claims["b"] != nil || claims["c"] != nil || claims["d"] == nil {
		t.Errorf("%.300s", claims)
	}
	_, claims = mint(map[string]json.RawMessage{"a": text(8000)})
	if len(claims) != len(bare) {
		t.Errorf("%.300s", claims)
	}
	// The space is used almost to the last byte.
	fits := func(n int) bool {
		_, claims := mint(map[string]json.RawMessage{"a": text(n)})
		return claims["a"] != nil
	}
	most := sort.Search(4096, func(n int) bool { return !fits(n) }) - 1
	if token, _ := mint(map[string]json.RawMessage{"a": text(most)}); len(token) < tokens.MaxID-2 {
		t.Errorf("%d bytes are free, and one more finds no room", tokens.MaxID-len(token))
	}
}

func TestAnIDTokenIsNoAccessTokenAndAnAccessTokenNoHint(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	ctx := t.Context()
	id, err := i.MintID(t.Context(), tokens.ID{ClientID: "app", Subject: "u", AuthenticatedAt: time.Now()}, "access")
	if err != nil {
		t.Fatal(err)
	}
	if a, err := i.ReadAccess(ctx, id); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("an ID token as an access token: %v %+v", err, a)
	}
	for _, typ := range []string{"", tokens.AccessType, tokens.IDType} {
		want := tokens.Access{
			Type: typ, ClientID: "app", Subject: "u", Audience: []string{"https://api.test"}, Scopes: []string{"openid"},
			GrantID: "g", AuthenticatedAt: time.Unix(1, 0), ContextClass: "1", Methods: []string{"pwd"}, Roles: []string{"a", "b"},
		}
		token, err := i.MintAccess(t.Context(), &want, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		got, err := i.ReadAccess(ctx, token)
		if err != nil {
			t.Fatalf("typ %q: %v", typ, err)
		}
		want.KeyID, want.Type = got.KeyID, cmp.Or(typ, tokens.AccessType)
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("typ %q: %s", typ, diff)
		}
		if hint, err := i.ReadHint(ctx, token); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("an access token of typ %q as a hint: %v %+v", typ, err, hint)
		}
	}
}

// counted counts how often the keys are read.
type counted struct {
	*keys.Keyring
	reads int
}

func (c *counted) Reload(ctx context.Context) error {
	c.reads++
	return c.Keyring.Reload(ctx)
}

func TestTokensWithMadeUpKeysHaveTheKeysReadFewTimes(t *testing.T) {
	t.Parallel()
	ring := &counted{Keyring: newRing(t)}
	i, stranger := tokens.NewIssuer(issuer, issuer+"/lists/", ring, time.Now), newIssuer(t)
	forged, err := stranger.MintAccess(t.Context(), &tokens.Access{ClientID: "app", Subject: "u"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	for range 1000 {
		if _, err := i.ReadAccess(t.Context(), forged); !errors.Is(err, tokens.ErrInvalid) {
			t.Fatal(err)
		}
	}
	if most := 11 + int(10*time.Since(begun).Seconds()); ring.reads < 1 || ring.reads > most {
		t.Errorf("the keys were read %d times, %d are allowed", ring.reads, most)
	}
}
