package processes

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/verify"
)

// keyholder is an API that decrypts its tokens.
type keyholder struct {
	t      *testing.T
	public any
	alg    jose.KeyAlgorithm
	// private is the key as JSON. The files have both halves.
	private                 []byte
	publicFile, privateFile string
}

func newKeyholder(t *testing.T, kid string, private crypto.Signer, alg jose.KeyAlgorithm) *keyholder {
	t.Helper()
	r := &keyholder{t: t, public: private.Public(), alg: alg}
	write := func(name string, key any) (file string, b []byte) {
		b, err := jose.JSONWebKey{Key: key, KeyID: kid, Use: "enc"}.MarshalJSON()
		file = filepath.Join(t.TempDir(), name)
		if err == nil {
			err = os.WriteFile(file, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return file, b
	}
	r.publicFile, _ = write("public.jwk", r.public)
	r.privateFile, r.private = write("private.jwk", private)
	return r
}

func keyholders(t *testing.T) (curve, rsaReader *keyholder) {
	t.Helper()
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return newKeyholder(t, "curve", p256, jose.ECDH_ES), newKeyholder(t, "rsa", rsaKey, jose.RSA_OAEP_256)
}

// forge encrypts a text to the API, under the members of another token's header.
func (r *keyholder) forge(text string, header map[string]any) string {
	r.t.Helper()
	o := (&jose.EncrypterOptions{}).WithContentType("JWT").WithHeader("jti", header["jti"]).WithHeader("ing", header["ing"])
	encrypter, err := jose.NewEncrypter(jose.A256GCM, jose.Recipient{Algorithm: r.alg, Key: r.public}, o)
	if err != nil {
		r.t.Fatal(err)
	}
	jwe, err := encrypter.Encrypt([]byte(text))
	if err != nil {
		r.t.Fatal(err)
	}
	token, err := jwe.CompactSerialize()
	if err != nil {
		r.t.Fatal(err)
	}
	return token
}

// TestOnlyItsAPIReadsAnEncryptedToken has the tokens of an API encrypted: package verify and
// somebody else's library read them, the server answers for them and revokes them.
func TestOnlyItsAPIReadsAnEncryptedToken(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start()
	secret := d.client("app")
	plain := s.token("app", secret)
	curve, rsaReader := keyholders(t)
	v := d.verifier(verify.Config{DecryptionKeys: [][]byte{curve.private, rsaReader.private}, Status: verify.StatusPoll})
	if _, err := v.Verify(t.Context(), plain); !errors.Is(err, verify.ErrInvalid) {
		t.Errorf("a token that is not encrypted: %v", err)
	}
	for _, r := range []*keyholder{curve, rsaReader} {
		d.must("api", "update", "https://api.test", "--encryption-key", r.publicFile)
		token, other := s.token("app", secret), s.token("app", secret)
		header := part(t, token, 0)
		if strings.Count(token, ".") != 4 || header["alg"] != string(r.alg) {
			t.Fatalf("%s: %v", r.alg, header)
		}
		if got, err := v.Verify(t.Context(), token); err != nil || got.ID != header["jti"] {
			t.Errorf("%s: package verify: %v", r.alg, err)
		}
		ask := node(t, "jose", "decrypt.mjs", s.url+"/.well-known/jwks.json", d.issuer, "https://api.test", r.privateFile)
		// The real token's header with a body that is good, but another token's; and with none.
		for what, forged := range map[string]string{"signed": r.forge(plain, header), "nothing": r.forge("{}", header)} {
			if _, err := v.Verify(t.Context(), forged); !errors.Is(err, verify.ErrInvalid) {
				t.Errorf("%s, %s inside: package verify: %v", r.alg, what, err)
			}
			if answer, err := ask(forged); err != nil || !strings.HasPrefix(answer, "refused ") {
				t.Errorf("%s, %s inside: jose: %s %v", r.alg, what, answer, err)
			}
			if !s.active("app", secret, forged) {
				t.Errorf("%s, %s inside: it is not answered for as the real token is", r.alg, what)
			}
		}
		if answer, err := ask(token); err != nil || answer != "ok app" {
			t.Errorf("%s: jose: %s %v", r.alg, answer, err)
		}
		if s.active("app", secret, r.forge(plain, map[string]any{"jti": header["jti"], "ing": "x.y"})) {
			t.Errorf("%s: an invented header is believed", r.alg)
		}
		if a := s.ask(http.MethodGet, "/userinfo", "Authorization", "Bearer "+token); a.status != http.StatusUnauthorized {
			t.Errorf("%s: userinfo: %d", r.alg, a.status)
		}
		if e := d.command(token, nil, "revoke", "--token-stdin"); e.status != done {
			t.Fatal(e.stderr)
		}
		if s.active("app", secret, token) || !s.active("app", secret, other) {
			t.Errorf("%s: after it was revoked", r.alg)
		}
		eventually(t, "the verifier learns it from the list", time.Minute, func() bool {
			_, err := v.Verify(t.Context(), token)
			return errors.Is(err, verify.ErrRevoked)
		})
		if _, err := v.Verify(t.Context(), other); err != nil {
			t.Errorf("%s: another one: %v", r.alg, err)
		}
	}
}
