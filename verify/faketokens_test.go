package verify_test

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// fakeList is a status list; change can make its claims wrong.
type fakeList struct {
	bits     int
	bytes    []byte
	ttl      int
	issuedAt time.Time
	kid      string
	typ      string
	change   func(claims map[string]any)
	// broken is whether a wrong key signs it.
	broken bool
}

func (f *issuer) list(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lists[r.URL.Path]
	if l == nil || r.Header.Get("Accept") != "application/statuslist+jwt" {
		http.NotFound(w, r)
		return
	}
	etag := fmt.Sprintf("\"%x\"", sha256.Sum256(l.bytes))
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/statuslist+jwt")
	if r.Header.Get("If-None-Match") == etag && l.change == nil {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	issuedAt := l.issuedAt
	if issuedAt.IsZero() {
		issuedAt = time.Now()
	}
	claims := map[string]any{
		"iss": f.url, "sub": strings.TrimSuffix(f.url, "/realm") + r.URL.Path,
		"iat": issuedAt.Unix(), "exp": issuedAt.Add(time.Hour).Unix(), "ttl": l.ttl,
		"status_list": map[string]any{"bits": l.bits, "lst": pack(l.bytes)},
	}
	if l.change != nil {
		l.change(claims)
	}
	token := sign(f.t, l.kid, l.typ, claims)
	if l.broken {
		token = token[:strings.LastIndex(token, ".")+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 256))
	}
	io.WriteString(w, token)
}

func pack(raw []byte) string {
	var b bytes.Buffer
	z, _ := zlib.NewWriterLevel(&b, zlib.BestCompression)
	z.Write(raw)
	z.Close()
	return base64.RawURLEncoding.EncodeToString(b.Bytes())
}

// addList adds a list of a thousand statuses and returns its address.
func (f *issuer) addList(n int) (uri string, l *fakeList) {
	l = &fakeList{bits: 1, bytes: make([]byte, 125), ttl: 5, kid: "k0", typ: "statuslist+jwt"}
	path := fmt.Sprintf("/realm/status/%d", n)
	f.with(func() { f.lists[path] = l })
	return strings.TrimSuffix(f.url, "/realm") + path, l
}

func (f *issuer) revoke(l *fakeList, index int) {
	f.with(func() {
		l.bytes = bytes.Clone(l.bytes)
		l.bytes[index/8] |= 1 << (index % 8)
	})
}

// sign makes a JWS.
func sign(t testing.TB, kid, typ string, claims any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if raw, is := claims.(string); is {
		payload = []byte(raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signWith(t, jose.SigningKey{Algorithm: jose.RS256, Key: rsaKeys()[kid[1]-'0']}, map[string]any{"kid": kid, "typ": typ}, payload)
}

func signWith(t testing.TB, key jose.SigningKey, header map[string]any, payload []byte) string {
	t.Helper()
	o := &jose.SignerOptions{}
	for name, value := range header {
		o.WithHeader(jose.HeaderKey(name), value)
	}
	s, err := jose.NewSigner(key, o)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// claims returns the claims of a good token, with changes; nil removes a claim.
func (f *issuer) claims(changes map[string]any) map[string]any {
	c := map[string]any{
		"iss": f.url, "sub": "minji", "aud": audience, "exp": time.Now().Add(15 * time.Minute).Unix(),
		"iat": time.Now().Unix(), "jti": "t1", "client_id": "shop", "scope": "read write",
		"gid": "g1", "auth_time": time.Now().Add(-time.Minute).Unix(), "acr": "1", "roles": []string{"admin"},
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	return c
}

func (f *issuer) token(changes map[string]any) string {
	return sign(f.t, "k0", "at+jwt", f.claims(changes))
}

// listed makes a good token whose status is at an index of a list.
func (f *issuer) listed(uri string, index int) string {
	return f.token(status(uri, index))
}

func status(uri any, index any) map[string]any {
	return map[string]any{"status": map[string]any{"status_list": map[string]any{"idx": index, "uri": uri}}}
}
