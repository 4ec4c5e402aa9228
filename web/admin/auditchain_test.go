package admin_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/web/admin"
)

// chained returns a house whose audit log has n events, all of them chained.
func chained(t testing.TB, n int) *house {
	t.Helper()
	h := logged(t, n)
	c := chain.New(h.store, h.rings, time.Now)
	for {
		if err := c.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		left, err := h.store.CountUnchained(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if left == 0 {
			return h
		}
	}
}

// verified asks for all parts of a verification.
func (h *house) verified(query string) (parts int, all admin.Verification) {
	h.Helper()
	for cursor := ""; ; parts++ {
		a := h.operator("GET", "/audit/verify?"+query+"&cursor="+queryOf(cursor), "", nil)
		h.want(a, http.StatusOK, "")
		var v admin.Verification
		if err := json.Unmarshal([]byte(a.text), &v); err != nil {
			h.Fatal(err)
		}
		v.Checked += all.Checked
		v.Flaws = append(all.Flaws, v.Flaws...)
		all = v
		if cursor = v.Next; cursor == "" {
			return parts + 1, all
		}
	}
}

func TestTheAuditLogIsVerifiedInParts(t *testing.T) {
	t.Parallel()
	const n = 25_000
	h := chained(t, n)
	parts, v := h.verified("")
	if parts != 2 || v.Checked != n+1 || len(v.Flaws) != 0 || v.Unchained != 0 || v.Head.Number != n+1 {
		t.Errorf("%d parts, %+v", parts, v)
	}
	kept := fmt.Sprintf("head=%d:%s", v.Head.Number, v.Head.Digest)
	if _, v := h.verified(kept); len(v.Flaws) != 0 {
		t.Errorf("%+v", v.Flaws)
	}
	storagetest.Exec(h, h.url, "UPDATE audit_events SET reason = 'other' WHERE number = 22222")
	if _, v := h.verified(kept); len(v.Flaws) != 1 || v.Flaws[0].Kind != chain.Changed || v.Flaws[0].First != 22222 || v.Flaws[0].EventID == 0 || v.Flaws[0].Detail == "" {
		t.Errorf("%+v", v.Flaws)
	}
	if _, v := h.verified("head=30000:" + v.Head.Digest); len(v.Flaws) != 2 || v.Flaws[1].Kind != chain.CutOff {
		t.Errorf("%+v", v.Flaws)
	}
	// A cursor is for the same head, and the same caller.
	first := h.operator("GET", "/audit/verify?"+kept, "", nil)
	cursor := queryOf(first.body["next_cursor"].(string))
	h.want(h.operator("GET", "/audit/verify?cursor="+cursor, "", nil), http.StatusUnprocessableEntity, "cursor")
	reader := administration.NewCaller("user:u", administration.AuditRead)
	h.want(h.as(&reader, "GET", "/audit/verify?"+kept+"&cursor="+cursor, "", nil), http.StatusUnprocessableEntity, "cursor")
	h.want(h.as(&reader, "GET", "/audit/verify?"+kept, "", nil), http.StatusOK, "")
}

func TestAHeadOfTheAuditLogIsShown(t *testing.T) {
	t.Parallel()
	h := logged(t, 3)
	h.want(h.operator("GET", "/audit/head", "", nil), http.StatusNotFound, "nothing-chained")
	h.want(h.operator("GET", "/audit/export?chain=true", "", nil), http.StatusNotFound, "nothing-chained")
	if _, v := h.verified(""); v.Head != nil || v.Unchained != 3 {
		t.Errorf("%+v", v)
	}
	h = chained(t, 3)
	if a := h.operator("GET", "/audit/head", "", nil); a.status != http.StatusOK || a.body["number"] != 4.0 || len(a.body["digest"].(string)) != 64 {
		t.Errorf("%s", a.text)
	}
	other := administration.NewCaller("user:u", administration.ClientsRead)
	for _, path := range []string{"/audit/head", "/audit/verify", "/audit/export?chain=true"} {
		h.want(h.as(&other, "GET", path, "", nil), http.StatusForbidden, "forbidden")
	}
	for _, wrong := range []string{"1", "1:", "x", "0:" + strings.Repeat("0", 64), "1:" + strings.Repeat("0", 63), "1:" + strings.Repeat("G", 64), "1%0a:" + strings.Repeat("0", 64)} {
		if a := h.operator("GET", "/audit/verify?head="+wrong, "", nil); a.status != http.StatusUnprocessableEntity || !slices.Equal(a.pointers(), []string{"head"}) {
			t.Errorf("%s: %d %s", wrong, a.status, a.text)
		}
	}
	for _, query := range []string{"action=a", "subject=a", "since=2026-01-01T12:00:00Z"} {
		h.want(h.operator("GET", "/audit/export?chain=true&"+query, "", nil), http.StatusUnprocessableEntity, "invalid")
	}
}

// TestAStrangerVerifiesAnExport knows nothing but docs/audit.md.
func TestAStrangerVerifiesAnExport(t *testing.T) {
	t.Parallel()
	const n = 1200
	h := chained(t, n)
	whole := h.export("?chain=true")
	if err := stranger(whole, n+1); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]string) []string{
		"edited":  func(l []string) []string { l[700] = strings.Replace(l[700], "cli:a", "cli:b", 1); return l },
		"removed": func(l []string) []string { return slices.Delete(l, 700, 702) },
		"moved":   func(l []string) []string { l[700], l[702] = l[702], l[700]; return l },
		"cut off": func(l []string) []string { return l[:len(l)-2] },
	} {
		if err := stranger(change(slices.Clone(whole)), n+1); err == nil {
			t.Errorf("%s: it was not found", name)
		}
	}
	// One export goes on where another ended.
	from := h.export("?chain=true&after=1000")
	if events := slices.DeleteFunc(from, func(l string) bool { return !strings.Contains(l, `"number":1001,`) }); len(events) != 1 {
		t.Errorf("%d lines have the number 1001", len(events))
	}
	if all := h.export("?chain=true&after=100000"); len(all) != 2 { // the keys
		t.Errorf("%q", all)
	}
}

func (h *house) export(query string) (lines []string) {
	h.Helper()
	w := httptest.NewRecorder()
	h.exported(h.Context(), query, w)
	if w.Code != http.StatusOK {
		h.Fatalf("%d %s", w.Code, w.Body)
	}
	return slices.Collect(strings.Lines(w.Body.String()))
}

// stranger verifies the lines of an export that begins with the first event and has so many.
func stranger(lines []string, want int) error {
	verifying := map[string]ed25519.PublicKey{}
	former, number, signed := strings.Repeat("0", 64), 0, 0
	for _, line := range lines {
		var l struct {
			Key  *struct{ KID, Kty, Crv, X string }
			Head *struct {
				Number         int
				Digest, Signed string
			}
			ID                                     int64
			At                                     time.Time
			Actor, Action, Subject, Reason, Digest string
			Details                                map[string]string
			Number                                 int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return err
		}
		switch {
		case l.Key != nil:
			x, err := base64.RawURLEncoding.DecodeString(l.Key.X)
			if err != nil || l.Key.Kty != "OKP" || l.Key.Crv != "Ed25519" {
				return fmt.Errorf("the key %+v", l.Key)
			}
			verifying[l.Key.KID] = x
		case l.Head != nil:
			part := strings.Split(l.Head.Signed, ".")
			var decoded [3][]byte
			for i := range decoded {
				decoded[i], _ = base64.RawURLEncoding.DecodeString(part[i])
			}
			var header struct{ KID, Alg string }
			var says struct {
				Number int
				Digest string
			}
			if err := json.Unmarshal(decoded[0], &header); err != nil || header.Alg != "EdDSA" {
				return fmt.Errorf("a header %s", decoded[0])
			}
			if !ed25519.Verify(verifying[header.KID], []byte(part[0]+"."+part[1]), decoded[2]) {
				return fmt.Errorf("a signature of %d", l.Head.Number)
			}
			if err := json.Unmarshal(decoded[1], &says); err != nil || says.Number != number || says.Digest != former {
				return fmt.Errorf("a head says %s after %d", decoded[1], number)
			}
			signed = number
		default:
			texts := []string{"ingam audit 1", former, fmt.Sprint(number + 1), fmt.Sprint(l.ID), fmt.Sprint(l.At.UnixMilli()), l.Actor, l.Action, l.Subject, l.Reason}
			for _, name := range slices.Sorted(maps.Keys(l.Details)) {
				texts = append(texts, name, l.Details[name])
			}
			var b bytes.Buffer
			for _, text := range texts {
				fmt.Fprintf(&b, "%d:%s,", len(text), text)
			}
			number++
			if former = fmt.Sprintf("%x", sha256.Sum256(b.Bytes())); l.Number != number || l.Digest != former {
				return fmt.Errorf("the event %d", number)
			}
		}
	}
	if signed != want || number != want {
		return fmt.Errorf("%d events, and a head of %d", number, signed)
	}
	return nil
}
