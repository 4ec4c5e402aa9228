package tokens_test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/storage/storagetest"
)

// reader is an API that has a key for its tokens.
func reader(t *testing.T) (private *ecdsa.PrivateKey, jwk string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := jose.JSONWebKey{Key: private.Public(), KeyID: "k1"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return private, string(b)
}

// inside decrypts a token.
func inside(t *testing.T, token string, private *ecdsa.PrivateKey) string {
	t.Helper()
	jwe, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.ECDH_ES}, []jose.ContentEncryption{jose.A256GCM})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jwe.Decrypt(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// seals returns an issuer that can encrypt.
func seals(t *testing.T, now func() time.Time) *tokens.Issuer {
	t.Helper()
	ring := newRing(t)
	if _, err := ring.Ensure(t.Context(), keys.Seals, "test"); err != nil {
		t.Fatal(err)
	}
	return tokens.NewIssuer(issuer, issuer+"/lists/", ring, now)
}

func TestAnEncryptedTokenIsReadByWhatWasSealedInIt(t *testing.T) {
	t.Parallel()
	i := seals(t, time.Now)
	private, jwk := reader(t)
	for what, want := range map[string]tokens.Access{
		"of a user": {
			ClientID: "app", Subject: "u", Audience: []string{"https://api.test"}, Scopes: []string{"read", "write"}, Epoch: 7,
			Status: status.Ref{List: 3, Index: 9}, GrantID: "g", AuthenticatedAt: time.Unix(1, 0), ContextClass: "1", Methods: []string{"pwd"}, Roles: []string{"a", "b"},
		},
		"of a client":       {ClientID: "app", Subject: "app", Audience: []string{"https://api.test"}, Epoch: 7},
		"of typ JWT, ES256": {Type: tokens.IDType, ClientID: "app", Subject: "app", Audience: []string{"a"}, Scopes: []string{"read"}},
	} {
		want.EncryptTo = jwk
		token, err := i.MintAccess(t.Context(), &want, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		got, err := i.ReadIssued(t.Context(), token)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		// What is inside is what would be read of a token that is only signed.
		signed, err := i.ReadAccess(t.Context(), inside(t, token, private))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		signed.SealKeyID = got.SealKeyID
		if len(signed.Scopes) == 0 {
			signed.Scopes = nil
		}
		if diff := gocmp.Diff(signed, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
		want.KeyID, want.SealKeyID, want.Type, want.EncryptTo = got.KeyID, got.SealKeyID, cmp.Or(want.Type, tokens.AccessType), ""
		if diff := gocmp.Diff(want, got); diff != "" || got.KeyID == "" || got.SealKeyID == "" {
			t.Errorf("%s: %s", what, diff)
		}
		if _, err := i.ReadAccess(t.Context(), token); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: as one that is only signed: %v", what, err)
		}
		if text := header(t, token); strings.Contains(text, "app") || strings.Contains(text, "read") {
			t.Errorf("%s: the header tells what is inside: %s", what, text)
		}
	}
}

// TestASealThatCannotBeOpenedHereIsAFault: a server whose master key file is not the newest
// cannot read what others sealed. It must not say that a good token is none: who revokes it
// would believe that this is done.
func TestASealThatCannotBeOpenedHereIsAFault(t *testing.T) {
	t.Parallel()
	store, master := storagetest.New(t, storagetest.Engines()[0]), newMaster(t)
	ring := newRingOn(t, store, master)
	if _, err := ring.Ensure(t.Context(), keys.Seals, "test"); err != nil {
		t.Fatal(err)
	}
	other := keys.New(store, newMaster(t), keys.Policy{LongestToken: time.Hour}, time.Now)
	if err := other.Reload(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Fatal(err)
	}
	i, behind := tokens.NewIssuer(issuer, issuer+"/lists/", ring, time.Now), tokens.NewIssuer(issuer, issuer+"/lists/", other, time.Now)
	_, jwk := reader(t)
	a := tokens.Access{ClientID: "app", Subject: "app", EncryptTo: jwk}
	token, err := i.MintAccess(t.Context(), &a, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := behind.ReadIssued(t.Context(), token); !errors.Is(err, keys.ErrMasterKey) || errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("a good token: %v", err)
	}
	if _, err := behind.ReadIssued(t.Context(), under(a.ID, "AAAA.AAAA")); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("an invented one: %v", err)
	}
	read, err := i.ReadIssued(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if err := ring.Withdraw(t.Context(), read.SealKeyID, keys.Intervention{Force: true}); err != nil {
		t.Fatal(err)
	}
	if err := other.Reload(t.Context()); !errors.Is(err, keys.ErrMasterKey) {
		t.Fatal(err)
	}
	if _, err := behind.ReadIssued(t.Context(), token); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("one whose key was withdrawn: %v", err)
	}
}

// TestATokenThatNobodyWouldReadIsNotMade: it would not be active anywhere, and who revokes it
// would be told that this is done.
func TestATokenThatNobodyWouldReadIsNotMade(t *testing.T) {
	t.Parallel()
	i := seals(t, time.Now)
	_, jwk := reader(t)
	made, refused := 0, 0
	for n := 0; n < 400; n += 10 {
		a := tokens.Access{ClientID: "app", Subject: "u", GrantID: "g", Audience: []string{"a"}, EncryptTo: jwk}
		for range n {
			a.Roles = append(a.Roles, "a-role-of-twenty-seven-char")
		}
		token, err := i.MintAccess(t.Context(), &a, time.Minute)
		if err != nil {
			refused++
			continue
		}
		made++
		if _, err := i.ReadIssued(t.Context(), token); err != nil {
			t.Errorf("with %d roles: %d characters, %v", n, len(token), err)
		}
	}
	if made < 10 || refused < 10 {
		t.Errorf("made %d, refused %d", made, refused)
	}
}

func header(t *testing.T, token string) string {
	t.Helper()
	first, _, _ := strings.Cut(token, ".")
	b, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// under writes a token whose header has a jti and a sealed member, and nothing else that is
// good.
func under(jti, sealed string) string {
	h, _ := json.Marshal(map[string]string{"alg": "ECDH-ES", "enc": "A256GCM", "cty": "JWT", "jti": jti, "ing": sealed})
	return base64.RawURLEncoding.EncodeToString(h) + "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA"
}

func TestNothingButWhatThisServerSealedIsRead(t *testing.T) {
	t.Parallel()
	later := time.Duration(0)
	now := func() time.Time { return time.Now().Add(later) }
	i, other := seals(t, now), seals(t, now)
	_, jwk := reader(t)
	mint := func(i *tokens.Issuer) (token, jti, sealed string) {
		t.Helper()
		a := tokens.Access{ClientID: "app", Subject: "app", Audience: []string{"a"}, EncryptTo: jwk}
		token, err := i.MintAccess(t.Context(), &a, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var h struct{ Ing string }
		if err := json.Unmarshal([]byte(header(t, token)), &h); err != nil {
			t.Fatal(err)
		}
		return token, a.ID, h.Ing
	}
	good, jti, sealed := mint(i)
	_, second, _ := mint(i)
	elsewhere, elsewhereID, strange := mint(other)
	if a, err := i.ReadSealed(t.Context(), under(jti, sealed)); err != nil || a.ID != jti {
		t.Fatalf("under another body the answer is not the real token's: %+v %v", a, err)
	}
	ring, err := newRing(t).Sign(keys.Tokens, "at+jwt", []byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	for what, token := range map[string]string{
		"an invented header":           under("x", "x"),
		"invented, in the right form":  under(jti, strings.Split(sealed, ".")[0]+".AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
		"for another token":            under(second, sealed),
		"for no token":                 under("", sealed),
		"of another deployment":        elsewhere,
		"of another one, copied":       under(elsewhereID, strange),
		"that of another under ours":   under(jti, strange),
		"nothing sealed":               under(jti, ""),
		"a flipped bit":                under(jti, sealed[:len(sealed)-2]+flip(sealed[len(sealed)-2:])),
		"no base64":                    "*" + good,
		"no JSON":                      "AAAA....",
		"a signed token":               ring,
		"four parts":                   good[:strings.LastIndex(good, ".")],
		"six parts":                    good + ".",
		"far too long":                 good + strings.Repeat("A", keys.MaxTokenLength),
		"nothing":                      "",
		"a jti that is a list":         strings.Replace(good, strings.Split(good, ".")[0], base64.RawURLEncoding.EncodeToString([]byte(`{"jti":["`+jti+`"],"ing":"`+sealed+`"}`)), 1),
		"a refresh token, so to speak": under("", ""),
	} {
		if a, err := i.ReadSealed(t.Context(), token); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %+v %v", what, a, err)
		}
	}
	// An API that decrypts compares the jti of the header with the one inside. Were another
	// member read here as the jti, the answer would be about another token than that.
	body := good[strings.Index(good, "."):]
	for _, members := range []string{
		`{"jti":"` + second + `","JTI":"` + jti + `","ing":"` + sealed + `"}`,
		`{"JTI":"` + jti + `","ing":"` + sealed + `"}`,
		`{"jti":"` + jti + `","Ing":"` + sealed + `"}`,
		`{"jti":"` + second + `","jti":"` + jti + `","ing":"` + sealed + `"}`,
		`{"jti":"` + second + `","\u006ati":"` + jti + `","ing":"` + sealed + `"}`,
		`{"jti":"` + jti + `","ing":"` + strange + `","ing":"` + sealed + `"}`,
		`{"jti":"` + jti + `","ing":"` + sealed + `"}{}`,
	} {
		if a, err := i.ReadSealed(t.Context(), base64.RawURLEncoding.EncodeToString([]byte(members))+body); !errors.Is(err, tokens.ErrInvalid) {
			t.Errorf("%s: %+v %v", members, a, err)
		}
	}
	later = time.Minute
	if _, err := i.ReadSealed(t.Context(), good); !errors.Is(err, tokens.ErrInvalid) {
		t.Errorf("expired: %v", err)
	}
}

func flip(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// TestARingThatWasMadeAMomentAgoIsUsed: an API that is new is read from the database by a
// server whose copy of the keys is older than the ring that the API is the first to need.
func TestARingThatWasMadeAMomentAgoIsUsed(t *testing.T) {
	t.Parallel()
	store, master := storagetest.New(t, storagetest.Engines()[0]), newMaster(t)
	server, command := newRingOn(t, store, master), newRingOn(t, store, master)
	i := tokens.NewIssuer(issuer, issuer+"/lists/", server, time.Now)
	_, jwk := reader(t)
	for _, ring := range []keys.Ring{keys.Seals, keys.TokensBy(keys.ES256)} {
		if _, err := command.Ensure(t.Context(), ring, "test"); err != nil {
			t.Fatal(err)
		}
	}
	for what, a := range map[string]tokens.Access{
		"encrypted":              {ClientID: "app", Subject: "app", EncryptTo: jwk},
		"by ES256":               {ClientID: "app", Subject: "app", Alg: "ES256"},
		"encrypted and by ES256": {ClientID: "app", Subject: "app", EncryptTo: jwk, Alg: "ES256"},
	} {
		token, err := i.MintAccess(t.Context(), &a, time.Minute)
		if err == nil {
			_, err = i.ReadIssued(t.Context(), token)
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := command.Ensure(t.Context(), keys.TokensBy(keys.EdDSA), "test"); err != nil {
		t.Fatal(err)
	}
	if _, err := i.MintID(t.Context(), tokens.ID{ClientID: "app", Subject: "u", Alg: "EdDSA"}, "access"); err != nil {
		t.Errorf("an ID token: %v", err)
	}
	a := tokens.Access{ClientID: "app", Subject: "app", Alg: "PS256"}
	if _, err := i.MintAccess(t.Context(), &a, time.Minute); !errors.Is(err, keys.ErrNoSigningKey) {
		t.Errorf("by a ring that is not there: %v", err)
	}
}
