package processes

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw posts a body as it is. Header fields are given as names and values in turn; an empty
// value removes a field.
func (s *server) raw(path, body string, fields ...string) answer {
	s.d.t.Helper()
	r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(body))
	if err != nil {
		s.d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] == "" {
			r.Header.Del(fields[i])
		} else {
			r.Header.Add(fields[i], fields[i+1])
			if fields[i] == "Content-Type" {
				r.Header.Set(fields[i], fields[i+1])
			}
		}
	}
	return s.do(r)
}

func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestBadRequestsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	// Without this setting, the many failures of this test would be throttled.
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	secret := d.client("app")
	poster := d.client("poster", "--auth", "client_secret_post")
	other := d.client("other")
	disabled, deleted := d.client("disabled"), d.client("deleted")
	d.must("client", "disable", "disabled")
	d.must("client", "delete", "deleted")
	d.must("api", "create", "--audience", "https://admin.test", "--name", "Admin", "--scope", "root")
	d.must("client", "create", "--id", "public", "--name", "public", "--scope", "read", "--audience", "https://api.test", "--auth", "none")
	var idle clientJSON
	d.mustJSON(&idle, "client", "create", "--id", "idle", "--name", "idle", "--auth", "client_secret_basic")
	old := d.client("rotated")
	var added secretJSON
	d.mustJSON(&added, "client", "secret", "add", "rotated")
	d.must("client", "secret", "remove", "rotated")
	me, grant := basic("app", secret), "grant_type=client_credentials"
	token := s.token("app", secret)
	if s.token("rotated", added.ClientSecret) == "" || s.token("app", secret, "scope", "read write", "resource", "https://api.test") == "" {
		t.Fatal("a valid request is refused")
	}
	before := d.state()

	for what, c := range map[string]struct {
		body   string
		fields []string
		status int
		code   string
	}{
		"grant_type twice":              {grant + "&" + grant, []string{"Authorization", me}, 400, "invalid_request"},
		"scope twice":                   {grant + "&scope=read&scope=write", []string{"Authorization", me}, 400, "invalid_request"},
		"client_id twice":               {grant + "&client_id=app&client_id=other", []string{"Authorization", me}, 400, "invalid_request"},
		"client_secret twice":           {grant + "&client_id=poster&client_secret=" + poster + "&client_secret=x", nil, 400, "invalid_request"},
		"an unknown parameter twice":    {grant + "&x=1&x=2", []string{"Authorization", me}, 400, "invalid_request"},
		"two ways to authenticate":      {grant + "&client_secret=" + secret, []string{"Authorization", me}, 400, "invalid_request"},
		"a second way twice":            {grant + "&client_secret=&client_secret=", []string{"Authorization", me}, 400, "invalid_request"},
		"two Authorization headers":     {grant, []string{"Authorization", me, "Authorization", me}, 400, "invalid_request"},
		"another client_id in the body": {grant + "&client_id=other", []string{"Authorization", me}, 400, "invalid_request"},
		"a client assertion": {grant + "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=a.b.c",
			[]string{"Authorization", me}, 401, "invalid_client"},
		"no client":                          {grant, nil, 401, "invalid_client"},
		"an empty client_id":                 {grant + "&client_id=&client_secret=x", nil, 401, "invalid_client"},
		"an unknown client":                  {grant, []string{"Authorization", basic("nobody", secret)}, 401, "invalid_client"},
		"a client id that is no text":        {grant, []string{"Authorization", basic("a%00pp", secret)}, 401, "invalid_client"},
		"a client id in other case":          {grant, []string{"Authorization", basic("APP", secret)}, 401, "invalid_client"},
		"a client id with a space":           {grant, []string{"Authorization", basic("app+", secret)}, 401, "invalid_client"},
		"a wrong secret":                     {grant, []string{"Authorization", basic("app", "wrong")}, 401, "invalid_client"},
		"an empty secret":                    {grant, []string{"Authorization", basic("app", "")}, 401, "invalid_client"},
		"a secret with a space behind":       {grant, []string{"Authorization", basic("app", secret+"+")}, 401, "invalid_client"},
		"a secret with a NUL behind":         {grant, []string{"Authorization", basic("app", secret+"%00")}, 401, "invalid_client"},
		"half a secret":                      {grant, []string{"Authorization", basic("app", secret[:len(secret)-1])}, 401, "invalid_client"},
		"another client's secret":            {grant, []string{"Authorization", basic("app", other)}, 401, "invalid_client"},
		"a removed secret":                   {grant, []string{"Authorization", basic("rotated", old)}, 401, "invalid_client"},
		"a disabled client":                  {grant, []string{"Authorization", basic("disabled", disabled)}, 401, "invalid_client"},
		"a deleted client":                   {grant, []string{"Authorization", basic("deleted", deleted)}, 401, "invalid_client"},
		"a wrong secret in the body":         {grant + "&client_id=app&client_secret=wrong", nil, 401, "invalid_client"},
		"another's secret in the body":       {grant + "&client_id=poster&client_secret=" + secret, nil, 401, "invalid_client"},
		"both ways, of a poster":             {grant + "&client_id=poster&client_secret=" + poster, []string{"Authorization", basic("poster", poster)}, 400, "invalid_request"},
		"both ways, Basic without a secret":  {grant + "&client_id=poster&client_secret=" + poster, []string{"Authorization", basic("poster", "")}, 400, "invalid_request"},
		"Basic and Bearer":                   {grant, []string{"Authorization", me, "Authorization", "Bearer " + token}, 400, "invalid_request"},
		"Bearer, and a secret that is wrong": {grant + "&client_id=poster&client_secret=wrong", []string{"Authorization", "Bearer " + token}, 401, "invalid_client"},
		"Bearer, and a client with a secret": {grant + "&client_id=app", []string{"Authorization", "Bearer " + token}, 401, "invalid_client"},
		"another scheme":                     {grant + "&client_id=poster&client_secret=" + poster, []string{"Authorization", "Digest x"}, 400, "invalid_request"},
		"another scheme, alone":              {grant + "&client_id=public", []string{"Authorization", "Negotiate x"}, 401, "invalid_client"},
		"a public client by Basic":           {grant, []string{"Authorization", basic("public", "")}, 400, "unauthorized_client"},
		"a public client with a secret":      {grant, []string{"Authorization", basic("public", secret)}, 401, "invalid_client"},
		"no secret of a client with one":     {grant + "&client_id=app", nil, 401, "invalid_client"},
		"a secret of a client without one":   {grant + "&client_id=public&client_secret=" + secret, nil, 401, "invalid_client"},
		"Bearer":                             {grant, []string{"Authorization", "Bearer " + token}, 401, "invalid_client"},
		"Basic that is not base64":           {grant, []string{"Authorization", "Basic ????"}, 401, "invalid_client"},
		"Basic without a colon":              {grant, []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("app"))}, 401, "invalid_client"},
		"Basic that is not form-encoded":     {grant, []string{"Authorization", basic("app", "%zz")}, 401, "invalid_client"},
		"no grant type":                      {"scope=read", []string{"Authorization", me}, 400, "invalid_request"},
		"an empty grant type":                {"grant_type=", []string{"Authorization", me}, 400, "invalid_request"},
		"an unknown grant type":              {"grant_type=password&username=a&password=b", []string{"Authorization", me}, 400, "unsupported_grant_type"},
		"two grant types in one":             {"grant_type=client_credentials+password", []string{"Authorization", me}, 400, "unsupported_grant_type"},
		"a grant type with a space":          {"grant_type=client_credentials+", []string{"Authorization", me}, 400, "unsupported_grant_type"},
		"a grant type that is not there yet": {"grant_type=urn:ietf:params:oauth:grant-type:token-exchange", []string{"Authorization", me}, 400, "unsupported_grant_type"},
		"a public client":                    {grant + "&client_id=public", nil, 400, "unauthorized_client"},
		"a client without the grant":         {grant, []string{"Authorization", basic("idle", idle.ClientSecret)}, 400, "unauthorized_client"},
		"an unknown scope":                   {grant + "&scope=read+admin", []string{"Authorization", me}, 400, "invalid_scope"},
		"another API's scope":                {grant + "&scope=root", []string{"Authorization", me}, 400, "invalid_scope"},
		"a scope in other case":              {grant + "&scope=READ", []string{"Authorization", me}, 400, "invalid_scope"},
		"a scope with a wildcard":            {grant + "&scope=*", []string{"Authorization", me}, 400, "invalid_scope"},
		"a scope with a quote":               {grant + "&scope=%22read%22", []string{"Authorization", me}, 400, "invalid_scope"},
		"a scope with a line break":          {grant + "&scope=read%0a", []string{"Authorization", me}, 400, "invalid_scope"},
		"a long scope":                       {grant + "&scope=" + strings.Repeat("a", 5000), []string{"Authorization", me}, 400, "invalid_scope"},
		"an unknown resource":                {grant + "&resource=https://unknown.test", []string{"Authorization", me}, 400, "invalid_target"},
		"another's resource":                 {grant + "&resource=https://admin.test", []string{"Authorization", me}, 400, "invalid_target"},
		"one resource of two":                {grant + "&resource=https://api.test&resource=https://admin.test", []string{"Authorization", me}, 400, "invalid_target"},
		"a resource below":                   {grant + "&resource=https://api.test/x", []string{"Authorization", me}, 400, "invalid_target"},
		"another's audience":                 {grant + "&audience=https://admin.test", []string{"Authorization", me}, 400, "invalid_target"},
		"no content type":                    {grant, []string{"Authorization", me, "Content-Type", ""}, 400, "invalid_request"},
		"JSON":                               {`{"grant_type":"client_credentials"}`, []string{"Authorization", me, "Content-Type", "application/json"}, 400, "invalid_request"},
		"plain text":                         {grant, []string{"Authorization", me, "Content-Type", "text/plain"}, 400, "invalid_request"},
		"multipart": {"--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n",
			[]string{"Authorization", me, "Content-Type", "multipart/form-data; boundary=x"}, 400, "invalid_request"},
		"broken encoding":     {grant + "&scope=%zz", []string{"Authorization", me}, 400, "invalid_request"},
		"a semicolon":         {grant + ";scope=read", []string{"Authorization", me}, 400, "invalid_request"},
		"what is not text":    {grant + "&scope=%ff", []string{"Authorization", me}, 400, "invalid_request"},
		"a body of 64 KB + 1": {grant + "&x=" + strings.Repeat("a", 64<<10-len(grant)-2), []string{"Authorization", me}, 413, "invalid_request"},
	} {
		a := s.raw("/oauth2/token", c.body, c.fields...)
		wantRefused(t, what, a, c.status, c.code)
		if a.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: no request id", what)
		}
	}
	if a := s.raw("/oauth2/token", grant+"&x="+strings.Repeat("a", 64<<10-len(grant)-3), "Authorization", me); a.status != http.StatusOK {
		t.Errorf("a body of 64 KB: %d %s", a.status, a.body)
	}
	wantRefused(t, "parameters in the URL", s.raw("/oauth2/token?"+grant+"&client_secret="+secret, "", "Authorization", me), http.StatusBadRequest, "invalid_request")
	wantRefused(t, "a token in the URL", s.raw("/oauth2/introspect?token="+token, "token="+token, "Authorization", me), http.StatusBadRequest, "invalid_request")
	wantRefused(t, "a token twice", s.raw("/oauth2/revoke", "token="+token+"&token=x", "Authorization", me), http.StatusBadRequest, "invalid_request")
	if a := s.raw("/oauth2/token", grant, "Authorization", me, "X-Padding", strings.Repeat("a", 64<<10)); a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 64 KB: %d %s", a.status, a.body)
	}
	if after := d.state(); after != before || !s.active("app", secret, token) {
		t.Errorf("something changed:\n%s\n%s", before, after)
	}

	log := s.log.String()
	for what, held := range map[string]string{
		"a secret": secret, "a secret in a body": poster, "another's secret": other, "a disabled client's secret": disabled,
		"a deleted client's secret": deleted, "an old secret": old, "a new secret": added.ClientSecret, "a token": token,
		"a header": strings.TrimPrefix(me, "Basic "), "a query": grant,
	} {
		if strings.Contains(log, held) {
			t.Errorf("the log holds %s", what)
		}
	}
	for line := range strings.Lines(log) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil || record["msg"] == "request" && record["request_id"] == "" {
			t.Errorf("not a record: %s", line)
		}
	}
}

func TestFailedAuthenticationIsThrottledAndLocksNobodyOut(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=3", "INGAM_THROTTLE_WINDOW=1h", "INGAM_HTTP_TRUSTED_PROXIES=127.0.0.1")
	bare := d.startAt(freeAddress(t), "INGAM_THROTTLE_CLIENT_FAILURES=3", "INGAM_THROTTLE_WINDOW=1h")
	secret, other := d.client("app"), d.client("other")
	try := func(s *server, id, secret, from string) answer {
		t.Helper()
		return s.raw("/oauth2/token", "grant_type=client_credentials", "Authorization", basic(id, secret), "X-Forwarded-For", from)
	}
	fail := func(s *server, from string, n int) {
		t.Helper()
		for range n {
			wantRefused(t, "a failure from "+from, try(s, "app", "wrong", from), http.StatusUnauthorized, "invalid_client")
		}
	}
	throttled := func(s *server, from string) {
		t.Helper()
		a := try(s, "app", "wrong", from)
		wantRefused(t, "one failure too many from "+from, a, http.StatusTooManyRequests, "invalid_client")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	fail(s, "192.0.2.1", 3)
	throttled(s, "192.0.2.1")
	fail(s, "192.0.2.2", 1)
	if a := try(s, "app", secret, "192.0.2.1"); a.status != http.StatusOK {
		t.Errorf("the right secret from the same address: %d %s", a.status, a.body)
	}
	if a := try(s, "other", other, "192.0.2.1"); a.status != http.StatusOK {
		t.Errorf("another client from the same address: %d %s", a.status, a.body)
	}
	wantRefused(t, "another client's failure", try(s, "other", "wrong", "192.0.2.1"), http.StatusUnauthorized, "invalid_client")
	// One subscriber has all addresses of a /64, so failures are counted by /64.
	fail(s, "2001:db8::1", 1)
	fail(s, "2001:db8::2", 2)
	throttled(s, "2001:db8::ffff:3")
	fail(s, "2001:db8:0:1::1", 1)
	// X-Forwarded-For of a caller that is not a trusted proxy is ignored. Otherwise an
	// attacker could send another address with each attempt.
	for i := range 3 {
		fail(bare, fmt.Sprintf("192.0.2.%d", i), 1)
	}
	throttled(bare, "192.0.2.99")
	// Of the header that a trusted proxy sends, only the last entry counts, which the
	// proxy adds. A client can write the entries before it.
	fail(s, "192.0.2.50, 192.0.2.77", 1)
	fail(s, "192.0.2.51, 192.0.2.77", 2)
	throttled(s, "192.0.2.52, 192.0.2.77")
}

func TestABodyThatNeverEndsHoldsNoConnection(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	s := d.start("INGAM_HTTP_READ_TIMEOUT=300ms", "INGAM_HTTP_READ_HEADER_TIMEOUT=300ms")
	for what, text := range map[string]string{
		"a header": "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nX-A: ",
		"a body":   "POST /oauth2/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ngrant",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, text)
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if what == "a body" {
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s: %v %v", what, resp, err)
			}
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("%s: the server keeps the connection open: %v", what, err)
		}
	}
	s.awaitReady()
}

// TestRequestsOfStrangersAreCheap checks that a request of an unknown client cannot use
// much CPU time.
func TestRequestsOfStrangersAreCheap(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	s := d.start("INGAM_THROTTLE_CLIENT_FAILURES=1000")
	d.client("app")
	var scopes []string
	for i := range 12_000 {
		scopes = append(scopes, fmt.Sprintf("%04x", i))
	}
	used := func(n int, body string) time.Duration {
		t.Helper()
		before := cpuOf(t, s)
		for range n {
			wantRefused(t, "a stranger", s.raw("/oauth2/token", body, "Authorization", basic("nobody", "x")), http.StatusUnauthorized, "invalid_client")
		}
		return cpuOf(t, s) - before
	}
	const grant = "grant_type=client_credentials&"
	plain := used(20, grant+"x="+strings.Repeat("a", 60_000))
	// The limit is not a time, but the cost of other requests of the same size. When
	// each scope was compared with each other, it took five hundred times as much.
	if many := used(20, grant+"scope="+strings.Join(scopes, "+")); many > 50*plain+time.Second {
		t.Errorf("20 requests with many scopes took %s of CPU time, with none %s", many, plain)
	}
}
