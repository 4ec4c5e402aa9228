package processes

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"pgregory.net/rapid"
)

// TestNothingThatIsSentToTheAdministrationIsAFault: whatever an administrator's client sends
// to an operation, the answer is one that the document declares, and no fault. The requests
// are made from the document, so a new operation is among them. A failure names the seed;
// more of them: go test -run Nothing.*Fault -rapid.checks 5000.
func TestNothingThatIsSentToTheAdministrationIsAFault(t *testing.T) {
	t.Parallel()
	onEachEngine(t, func(t *testing.T, on *deployment) {
		on.oneAtATime()
		h := newHostile(t, on)
		atOnce := 8
		if !strings.HasPrefix(on.database, "sqlite:") {
			atOnce = 2
		}
		checks := 0
		rapid.Check(t, func(rt *rapid.T) {
			if checks++; checks%5 == 1 {
				h.look()
			}
			for range atOnce {
				h.send(rt, rapid.SampledFrom(h.operations).Draw(rt, "operation"))
			}
		})
		for line := range strings.Lines(h.s.log.String()) {
			late := strings.Contains(line, "change sequence in time") // the machine is busy
			if strings.Contains(line, "panic") || strings.Contains(line, `"level":"ERROR"`) && !late {
				t.Errorf("the server logs a fault: %s", line)
			}
		}
	})
}

// hostile sends to an admin API what nobody should.
type hostile struct {
	t          testing.TB
	s          *server
	secret     string
	token      string
	document   *adminDocument
	operations []operationAt
	// known are the ids of records that there are, by the names of parameters and members.
	known map[string][]string
}

// operationAt is an operation of the document.
type operationAt struct {
	method, path string
	*openapi3.Operation
}

func newHostile(t testing.TB, on *deployment) *hostile {
	t.Helper()
	h := &hostile{t: t, secret: on.robot(), s: on.start()}
	web := on.webClient("web")
	for _, name := range []string{"minji", "juno"} {
		on.user(name)
		web.tokens(h.s, h.s.person(), name)
	}
	h.document = h.s.adminDocument("/openapi-3.0.json")
	h.token = h.s.token("robot", h.secret)
	// In one order, so that a seed names the same requests.
	for _, path := range slices.Sorted(maps.Keys(h.document.Paths.Map())) {
		operations := h.document.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			h.operations = append(h.operations, operationAt{method, path, operations[method]})
		}
	}
	return h
}

// look finds out which records there are, once there are some again.
func (h *hostile) look() {
	for path, bodies := range map[string][]string{
		"/apis":    {`{"audience": "https://api.test", "name": "API", "scopes": ["read", "write"]}`, `{"audience": "urn:shared", "name": "Shared", "scopes": ["read"], "signing_alg": "HS256"}`},
		"/clients": {`{"client_id": "job", "name": "Job", "token_endpoint_auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}`},
		"/users":   {`{"username": "dana"}`},
	} {
		for _, body := range bodies {
			h.ask(http.MethodPost, path, body)
		}
	}
	if a := h.ask(http.MethodPost, "/apply?dry_run=true", h.ask(http.MethodGet, "/export", "").body); a.status != http.StatusOK || !strings.Contains(a.body, `"steps":[]`) {
		h.t.Errorf("an export that is applied: %d %s", a.status, a.body)
	}
	h.known = map[string][]string{}
	for path, members := range map[string]map[string][]string{
		"/apis":     {"id": {"api"}, "audience": {"api", "audience", "audiences", "introspects"}},
		"/clients":  {"client_id": {"client_id", "client"}},
		"/users":    {"id": {"id", "user", "user_id"}, "username": {"username", "user"}},
		"/grants":   {"id": {"grant_id", "grant"}},
		"/sessions": {"id": {"id", "session"}},
		"/keys":     {"kid": {"kid"}},
	} {
		var page struct{ Items []map[string]any }
		mustUnmarshal(h.t, h.ask(http.MethodGet, path+"?limit=8", "").body, &page)
		for _, item := range page.Items {
			for member, names := range members {
				for _, name := range names {
					h.known[name] = append(h.known[name], fmt.Sprint(item[member]))
				}
			}
			secrets, _ := item["secrets"].([]any)
			for _, secret := range secrets {
				h.known["secret_id"] = append(h.known["secret_id"], fmt.Sprint(secret.(map[string]any)["id"]))
			}
		}
	}
	// Who sends all this stays.
	h.known["client_id"] = slices.DeleteFunc(h.known["client_id"], func(id string) bool { return id == "robot" })
	h.known["client"] = h.known["client_id"]
}

// ask sends a request as somebody does who means well.
func (h *hostile) ask(method, path, body string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.s.url+adminPath+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	return h.do(r)
}

// do sends a request with a token that is good: some requests cut it, or withdraw its key.
func (h *hostile) do(r *http.Request) answer {
	h.t.Helper()
	for range 2 {
		r.Header.Set("Authorization", "Bearer "+h.token)
		if r.GetBody != nil {
			r.Body, _ = r.GetBody()
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			h.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			h.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
		}
		if resp.StatusCode != http.StatusUnauthorized {
			return answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
		}
		h.token = h.s.token("robot", h.secret)
	}
	h.t.Fatalf("a new token is refused")
	return answer{}
}

// send sends one request to an operation, and looks at the answer.
func (h *hostile) send(rt *rapid.T, op operationAt) {
	f := forged{h, rt, op, rapid.SampledFrom([]int{0, 0, 1, 4}).Draw(rt, "mistakes")}
	body, typed := f.body()
	r, err := http.NewRequestWithContext(h.t.Context(), op.method, h.s.url+adminPath+f.path()+f.query(), strings.NewReader(body))
	if err != nil {
		rt.Skip(err) // no client could send it
	}
	if typed != "" {
		r.Header.Set("Content-Type", typed)
	}
	f.headers(r.Header)
	a := h.do(r)
	resp := &http.Response{StatusCode: a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}
	wrong := h.document.wrong(resp)
	if _, _, at := h.document.operation(r); at == nil && a.status == http.StatusNotFound && a.header.Get("Content-Type") == "application/problem+json" {
		wrong = nil // the path is none of the document
	}
	if wrong != nil || a.status >= http.StatusInternalServerError {
		r.Header.Del("Authorization")
		rt.Fatalf("%s %s\n%v\n%.2000q\nanswers %d %v %.2000s\n%v", r.Method, r.URL, r.Header, body, a.status, a.header, a.body, wrong)
	}
}

// forged is a request that is made up.
type forged struct {
	*hostile
	rt *rapid.T
	op operationAt
	// mistakes is how likely it is, in 20ths, that a part is wrong. Without any the request
	// is mostly done, so that there is something for the others.
	mistakes int
}

// slips reports whether a part is to be wrong.
func (f forged) slips(part string) bool {
	return f.mistakes > 0 && rapid.IntRange(0, 19).Draw(f.rt, "wrong "+part) < f.mistakes
}

// one reports whether something happens that happens once in n times.
func (f forged) one(n int, what string) bool {
	return rapid.IntRange(1, n).Draw(f.rt, what) == 1
}

func pick[T any](f forged, name string, from ...T) T { return rapid.SampledFrom(from).Draw(f.rt, name) }

// odd are texts that somebody may send in place of any other.
var odd = []string{
	"", ".", "..", "../..", "/", "%2f", "%00", "\x00", "a\x00b", "\x7f\x1b[31m", "\u202e\u2066x", "\ufeff", "<script>alert(1)</script>", `"`, `\`, "'; DROP TABLE users; --",
	"\xff\xfe", "\xed\xa0\x80", "é", "e\u0301", "😀", "*", "null", "true", "0", "-1", "99999999999999999999", "1e9", " ", " a ", "oldest", "ingam:admin", "ingam:x", "a b", "\n", "\u2028",
	strings.Repeat("a", 300), strings.Repeat("ü", 3000), strings.Repeat("%", 100), "javascript:alert(1)", "https://a.test", "http://[::1", "https://a.test/\x00", "//", "user:", "client:",
}

// longest is the longest text in an address: net/http refuses longer headers by itself.
const longest = 3000

func (f forged) path() string {
	parts := strings.Split(f.op.path, "/")
	for i, part := range parts {
		name, is := strings.CutPrefix(part, "{")
		switch {
		case !is:
		case f.slips("escape"):
			parts[i] = pick(f, "part", "", ".", "..", "%2e%2e", "%2f", "%00", "%ff", "%5c..%5c", "a;b=c", "a%2Fb", "%25")
		default:
			id := f.text(strings.TrimSuffix(name, "}"))
			parts[i] = url.PathEscape(id[:min(len(id), longest)])
		}
	}
	return strings.Join(parts, "/")
}

// query returns the query, with its question mark.
func (f forged) query() string {
	var given []string
	for _, ref := range f.op.Parameters {
		p := ref.Value
		if p.In != "query" || !p.Required && !f.one(6, "has "+p.Name) {
			continue
		}
		if p.Name == "settle" && !f.one(10, "settle") {
			continue // it waits
		}
		value := f.value(p.Name, p.Schema.Value)
		if strings.HasPrefix(value, `"`) {
			json.Unmarshal([]byte(value), &value)
		}
		value = url.QueryEscape(value[:min(len(value), longest)])
		if f.slips("query escape") {
			value = pick(f, "raw", "", "%", "%zz", "a;b", "%00", "%ff", "a+b", "=", "[]")
		}
		given = append(given, p.Name+"="+value)
	}
	if f.slips("query") {
		given = append(given, pick(f, "another", "x=1", "limit=1", "dry_run", "=", "&&", "reason=%00", "reason[]=x", "Dry_Run=true", "%72eason=x"))
	}
	if len(given) == 0 {
		return ""
	}
	return "?" + strings.Join(given, "&")
}

func (f forged) headers(header http.Header) {
	if slices.ContainsFunc(f.op.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.Name == "If-Match" }) {
		header["If-Match"] = []string{"*"}
		if f.slips("If-Match") {
			header["If-Match"] = pick(f, "If-Match", []string{`"x"`}, []string{`W/"x"`}, []string{`"*"`}, []string{""}, nil, []string{`"a", "b"`}, []string{"\xff"}, []string{"*", `"x"`}, []string{strings.Repeat("x", longest)})
		}
	}
	if f.slips("header") {
		name := pick(f, "header", "Accept", "Accept-Language", "Accept-Encoding", "Cookie", "Origin", "Range", "If-None-Match", "X-HTTP-Method-Override", "Prefer", "X-Request-Id")
		header.Set(name, pick(f, name, "*/*", "application/cbor", "text/html", ";", "gzip, br", "a=b", "https://elsewhere.test", "bytes=0-1", "DELETE", "\xff", strings.Repeat("x", longest)))
	}
}

// body returns the body and its type.
func (f forged) body() (body, typed string) {
	const usual = "application/json"
	switch {
	case f.op.RequestBody == nil && f.slips("body where there is none"):
		return `{"a": 1}`, usual
	case f.op.RequestBody == nil:
		return "", ""
	case f.slips("body"):
		return pick(f, "broken", "", "null", "[]", "{", "{}", `"x"`, "{}{}", "\ufeff{}", "{\"a\":1,}", "\x00", strings.Repeat("[", 20_000), strings.Repeat(`{"claims":`, 5_000), `{"name": "`+strings.Repeat("x", 1<<20)+`"}`), usual
	}
	typed, body = usual, f.value("body", f.op.RequestBody.Value.Content[usual].Schema.Value)
	switch {
	case f.slips("end"):
		body = body[:len(body)/2]
	case f.slips("type"):
		typed = pick(f, "type", "", "text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "application/merge-patch+json", "application/json; charset=utf-16", "application/cbor", ";", "\xff", "APPLICATION/JSON")
	}
	return body, typed
}

// value returns JSON for a member that has a schema.
func (f forged) value(name string, of *openapi3.Schema) string {
	if name != "body" && f.slips(name) {
		return pick(f, name, "null", "true", "0", "-1", "1.5", "1e400", "123456789012345678901234567890", "9223372036854775807", "-0", `""`, "[]", "{}", "[null]", `[""]`, `["a","a"]`, `{"a": {"b": null}}`, `{"": 1}`,
			`"\u0000"`, `"\ud800"`, "\"\xff\"", `"`+strings.Repeat("x", 70_000)+`"`, `{"`+strings.Repeat("k", 70_000)+`": 1}`, strings.Repeat("[", 500)+strings.Repeat("]", 500), "["+strings.Repeat(`"a",`, 5000)+`"a"]`, `"`+strings.Repeat("x", 1<<20)+`"`)
	}
	kind := "any"
	if of.Type != nil && len(*of.Type) > 0 {
		kind = (*of.Type)[0]
	}
	switch {
	case len(of.Enum) > 0:
		return quoted(fmt.Sprint(pick(f, name, of.Enum...)))
	case kind == "object":
		return f.object(name, of)
	case kind == "array":
		items := make([]string, pick(f, name, 1, 1, 1, 2, 0))
		for i := range items {
			items[i] = f.value(name, of.Items.Value)
		}
		return "[" + strings.Join(items, ",") + "]"
	case kind == "boolean":
		return fmt.Sprint(rapid.Bool().Draw(f.rt, name))
	case kind == "integer":
		return fmt.Sprint(pick(f, name, 1, 2, 100, 1000, 0, 1001, -1, 1<<31, 1<<53, 1<<63-1, 4102444800))
	case of.Format == "date-time":
		return quoted(pick(f, name, "2026-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "2026-01-01", "2026-01-01T00:00:00+23:59"))
	case kind == "any":
		return pick(f, name, `"x"`, "1", "null", "[1]", `{"a": "b"}`, `"`+strings.Repeat("c", 5000)+`"`)
	}
	return quoted(f.text(name))
}

// often are members without which little can be done, although not each schema demands them.
var often = []string{"name", "username", "password", "scopes", "grant_types", "apis", "clients"}

// object returns an object with members of a schema, and sometimes another one.
func (f forged) object(name string, of *openapi3.Schema) string {
	var members []string
	member := func(name, value string) { members = append(members, quoted(name)+":"+value) }
	for _, name := range slices.Sorted(maps.Keys(of.Properties)) {
		has := f.one(8, "has "+name)
		if slices.Contains(of.Required, name) || slices.Contains(often, name) {
			has = !f.slips("lack of " + name)
		}
		if has {
			member(name, f.value(name, of.Properties[name].Value))
		}
	}
	if len(of.Properties) == 0 {
		for range pick(f, name, 1, 0, 2) {
			inner := `"x"`
			if schema := of.AdditionalProperties.Schema; schema != nil {
				inner = f.value("of "+name, schema.Value)
			}
			member(pick(f, "key", "read", "en", "ko", "name", "kty", "sub", "locale", "email", "x", "\u202e", "a/b", "a~b"), inner)
		}
	}
	if f.slips("member") {
		member(pick(f, "member", "id", "created_at", "disabled", "epoch", "$schema", "", "NAME", "__proto__", "secrets", "name"), `"x"`)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// quoted writes a text as JSON, also one that is not UTF-8.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(rune(c)))
		case c < ' ':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// good are values with which an operation goes beyond the first rule.
var good = map[string][]string{
	"token_endpoint_auth_method": {"client_secret_basic", "client_secret_basic", "client_secret_post", "none"}, "grant_types": {"client_credentials", "client_credentials", "client_credentials", "authorization_code", "refresh_token", "first_party"},
	"redirect_uris": {"https://a.test/cb", "http://127.0.0.1/cb", "com.example:/cb", "https://a.test/cb#f"}, "post_logout_redirect_uris": {"https://a.test/bye"},
	"origins": {"https://a.test", "http://localhost:3000"}, "scopes": {"read", "write", "openid", "offline_access", "ingam:clients:read"}, "pkce": {"required", "nonce", "optional"}, "hold": {"memory", "cookie"},
	"refresh_grace": {"10s", "0s", "1h", "-5s", "1ns", "99999h"}, "access_ttl": {"5m", "0s", "25h", "1ns", "60.5s"}, "expires_in": {"2h", "0s", "-1h", "9999h", "1ns"}, "wait": {"1ms", "1ns", "-1s", "x"},
	"signing_alg": {"RS256", "ES256", "EdDSA", "HS256", "none"}, "id_token_signed_response_alg": {"RS256", "ES256", "HS256"}, "token_typ": {"at+jwt", "JWT", "jwt"},
	"password": {goodPassword, goodPassword, goodPassword, "password", "short"}, "client_secret": {strings.Repeat("s", 40), "short", strings.Repeat("é", 40)}, "email": {"a@b.test", "a@b@c", "A@B.TEST", "é@é.test"},
	"username": {"juno", "JUNO", "dana", "eun", "a b"}, "roles": {"ops", "ingam:admin", "ingam:users:read", "ingam:none"}, "audience": {"https://a.test", "https://b.test/", "https://c.test/d", "urn:x"}, "client_id": {"web", "job", "a/b", "c", "d", "e"},
	"name": {"Name", "<b>"}, "introspects": {"https://a.test"}, "jti": {"5PHUYPHEIDTG6VGPM5KGEUQXL4"}, "status_list": {"1", "0", "https://a.test/1", "99999999999999999999"}, "head": {"1:" + strings.Repeat("0", 64)}, "plan": {"x"}, "reason": {"why"},
	"action": {"client.create", "cut.user"}, "subject": {"web", "juno"}, "actor": {"client:robot", "server", "cli:root"}, "scope": {"read"}, "secret_id": {"oldest"}, "token": {"a.b.c", "eyJhbGciOiJub25lIn0.e30."},
}

// text returns a text for a member or a parameter with that name.
func (f forged) text(name string) string {
	switch known := f.known[name]; {
	case f.slips("text"):
		return pick(f, name, odd...)
	case f.slips("characters"):
		return rapid.String().Draw(f.rt, name)
	case len(known) > 0 && (len(good[name]) == 0 || f.one(2, "known "+name)):
		return pick(f, name, known...)
	case len(good[name]) > 0:
		return pick(f, name, good[name]...)
	}
	return pick(f, name, "some text", "x")
}
