package main

import (
	"bytes"
	"compress/zlib"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/web"
)

// TestNoListButTheOneThatATokenNamesSaysThatItStands: an attacker who can replace a status
// list wants a revoked token to look valid.
func TestNoListButTheOneThatATokenNamesSaysThatItStands(t *testing.T) {
	t.Parallel()
	signer := func(kid string) (jose.Signer, jose.JSONWebKey) {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: private, KeyID: kid}},
			(&jose.SignerOptions{}).WithType(lists.TokenType))
		if err != nil {
			t.Fatal(err)
		}
		return s, jose.JSONWebKey{Key: private.Public(), KeyID: kid}
	}
	good, public := signer("k")
	stranger, _ := signer("k")
	published, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{public}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := keys.ParseJWKS(published)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(bits io.Reader) string {
		var out bytes.Buffer
		z := zlib.NewWriter(&out)
		if _, err := io.Copy(z, bits); err != nil {
			t.Fatal(err)
		}
		z.Close()
		return base64.RawURLEncoding.EncodeToString(out.Bytes())
	}
	two := pack(strings.NewReader("\x00\x04")) // index 10 is set
	now := time.Now()

	for name, c := range map[string]struct {
		// claims are the claims of the list that differ from those of a good one.
		claims  map[string]any
		signer  jose.Signer
		index   int64
		status  int
		revoked bool
		says    string
	}{
		"one that stands":           {index: 9},
		"one that was revoked":      {index: 10, revoked: true},
		"an index beyond the list":  {index: 16, says: "index"},
		"an index before the list":  {index: -1, says: "index"},
		"a stranger's list":         {signer: stranger, says: "signature"},
		"another list":              {claims: map[string]any{"sub": "https://id.test/oauth2/status/8"}, says: "another status list"},
		"another issuer's list":     {claims: map[string]any{"iss": "https://id.test"}, says: "another status list"},
		"an old list":               {claims: map[string]any{"exp": now.Add(-time.Minute).Unix()}, says: "expired"},
		"a list without an end":     {claims: map[string]any{"exp": nil}, says: "expired"},
		"a list of tomorrow":        {claims: map[string]any{"iat": now.Add(time.Hour).Unix()}, says: "future"},
		"two bits for each token":   {claims: map[string]any{"status_list": map[string]any{"bits": 2, "lst": two}}, says: "2 bits"},
		"no list":                   {claims: map[string]any{"status_list": nil}, says: "0 bits"},
		"a list that is not packed": {claims: map[string]any{"status_list": map[string]any{"bits": 1, "lst": "AAAA"}}, says: "ZLIB"},
		"a list that is cut off":    {claims: map[string]any{"status_list": map[string]any{"bits": 1, "lst": two[:8]}}, says: "unpacked"},
		"a list that fills memory":  {claims: map[string]any{"status_list": map[string]any{"bits": 1, "lst": pack(io.LimitReader(zeros{}, maxList+1))}}, says: "bytes when unpacked"},
		"a server that is down":     {status: http.StatusServiceUnavailable, says: "could not be fetched"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var body string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if c.status != 0 {
					w.WriteHeader(c.status)
				}
				io.WriteString(w, body)
			}))
			defer server.Close()
			base := status.Base(server.URL + web.PathStatusLists + "/")
			claims := map[string]any{
				"iss": server.URL, "sub": base.URI(7), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
				"status_list": map[string]any{"bits": 1, "lst": two},
			}
			for name, value := range c.claims {
				claims[name] = value
			}
			payload, err := json.Marshal(claims)
			if err != nil {
				t.Fatal(err)
			}
			s := good
			if c.signer != nil {
				s = c.signer
			}
			jws, err := s.Sign(payload)
			if err != nil {
				t.Fatal(err)
			}
			if body, err = jws.CompactSerialize(); err != nil {
				t.Fatal(err)
			}
			revoked, err := revokedByList(t.Context(), set, server.URL, base, status.Ref{List: 7, Index: c.index}, now)
			if revoked != c.revoked || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("revoked %t, %v", revoked, err)
			}
		})
	}
}

// zeros is an endless stream of zero bytes.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
