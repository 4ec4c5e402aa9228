package verify_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// bare does the least that every verifier must do: it checks one RSA signature and reads
// the claims.
func bare(key *rsa.PublicKey, token string) error {
	dot := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[dot+1:])
	if err != nil {
		return err
	}
	digest := sha256.Sum256([]byte(token[:dot]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature); err != nil {
		return err
	}
	payload, err := base64.RawURLEncoding.DecodeString(token[strings.IndexByte(token, '.')+1 : dot])
	if err != nil {
		return err
	}
	var c struct {
		Issuer   string   `json:"iss"`
		Subject  string   `json:"sub"`
		Audience string   `json:"aud"`
		Expires  int64    `json:"exp"`
		IssuedAt int64    `json:"iat"`
		ID       string   `json:"jti"`
		ClientID string   `json:"client_id"`
		Scope    string   `json:"scope"`
		GrantID  string   `json:"gid"`
		AuthTime int64    `json:"auth_time"`
		ACR      string   `json:"acr"`
		Roles    []string `json:"roles"`
		Status   struct {
			List struct {
				Index int64  `json:"idx"`
				URI   string `json:"uri"`
			} `json:"status_list"`
		} `json:"status"`
	}
	return json.Unmarshal(payload, &c)
}

func BenchmarkBare(b *testing.B) {
	f := newIssuer(b)
	uri, _ := f.addList(1)
	token, key := f.listed(uri, 3), &rsaKeys()[0].PublicKey
	b.ReportAllocs()
	for b.Loop() {
		if err := bare(key, token); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	f := newIssuer(b)
	uri, _ := f.addList(1)
	token, v := f.listed(uri, 3), f.verifier(patient)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyToBare runs both in turn, so that other load on the machine slows both. It
// reports how many times as long Verify takes.
func BenchmarkVerifyToBare(b *testing.B) {
	f := newIssuer(b)
	uri, _ := f.addList(1)
	token, v, key := f.listed(uri, 3), f.verifier(patient), &rsaKeys()[0].PublicKey
	var ours, least time.Duration
	for b.Loop() {
		begun := time.Now()
		if err := bare(key, token); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if _, err := v.Verify(b.Context(), token); err != nil {
			b.Fatal(err)
		}
		least, ours = least+between.Sub(begun), ours+time.Since(between)
	}
	b.ReportMetric(float64(ours)/float64(least), "ratio")
}

func BenchmarkState(b *testing.B) {
	f := newIssuer(b)
	f.addList(1)
	v := f.verifier(patient)
	b.ReportAllocs()
	for b.Loop() {
		v.State()
	}
}

// BenchmarkAlgorithms measures what docs/choosing.md says of HS256 and RS256. With both,
// go-jose signs the same claims, and parses and checks the token.
func BenchmarkAlgorithms(b *testing.B) {
	secret := make([]byte, 32)
	rand.Read(secret)
	f := newIssuer(b)
	uri, _ := f.addList(1)
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(f.listed(uri, 3), ".")[1])
	if err != nil {
		b.Fatal(err)
	}
	for _, a := range []struct {
		alg        jose.SignatureAlgorithm
		sign, with any
	}{
		{jose.HS256, secret, secret},
		{jose.RS256, rsaKeys()[0], rsaKeys()[0].Public()},
	} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: a.alg, Key: a.sign}, (&jose.SignerOptions{}).WithType("at+jwt").WithHeader("kid", "k0"))
		if err != nil {
			b.Fatal(err)
		}
		sign := func() string {
			signed, err := signer.Sign(payload)
			if err != nil {
				b.Fatal(err)
			}
			token, err := signed.CompactSerialize()
			if err != nil {
				b.Fatal(err)
			}
			return token
		}
		token := sign()
		b.Run(string(a.alg)+"/sign", func(b *testing.B) {
			for b.Loop() {
				sign()
			}
			b.ReportMetric(float64(len(token)), "B/token")
		})
		b.Run(string(a.alg)+"/verify", func(b *testing.B) {
			for b.Loop() {
				parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{a.alg})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := parsed.Verify(a.with); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
