package processes

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.yaml.in/yaml/v4"
)

// metered is a server in this process, with the address of its metrics.
type metered struct {
	*server
	at string
}

func (d *deployment) startMetered(extra ...string) metered {
	d.t.Helper()
	at := freeAddress(d.t)
	s, _ := d.startHere(append(extra, "INGAM_METRICS_LISTEN="+at)...)
	return metered{s, at}
}

// exposed returns the metrics as Prometheus reads them.
func (m metered) exposed() string {
	m.d.t.Helper()
	resp, err := http.Get("http://" + m.at + "/metrics")
	if err != nil {
		m.d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		m.d.t.Fatalf("%d %v", resp.StatusCode, err)
	}
	return string(text)
}

// series returns the values of the server's own series, by name without "ingam_".
func (m metered) series() map[string]float64 {
	m.d.t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(m.exposed()) {
		name, is := strings.CutPrefix(strings.TrimSpace(line), "ingam_")
		if !is {
			continue
		}
		space := strings.LastIndex(name, " ")
		value, err := strconv.ParseFloat(name[space+1:], 64)
		if err != nil {
			m.d.t.Fatalf("%s: %v", line, err)
		}
		all[name[:space]] = value
	}
	return all
}

// happened matches the series that count what happens.
var happened = regexp.MustCompile(`^(http_requests|tokens_issued|refusals|sign_ins|throttled)_total\{|^http_request_duration_seconds_count\{`)

func TestMetricsCountWhatHappens(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	d.must("migrate", "up")
	a, secret := d.webClient("app"), d.client("service")
	d.signInApp("mobile")
	d.user("minji")
	d.user("junho")
	d.must("user", "disable", "junho")
	s := d.startMetered("INGAM_THROTTLE_CLIENT_FAILURES=2", "INGAM_THROTTLE_SIGN_IN_FAILURES=4", "INGAM_TOKENS_REFRESH_GRACE=0s")
	// step checks that an action changes exactly these counters.
	step := func(what string, do func(), counts ...string) {
		t.Helper()
		before := s.series()
		do()
		want, got := map[string]float64{}, map[string]float64{}
		for _, c := range counts {
			want[c]++
			if labels, is := strings.CutPrefix(c, "http_requests_total"); is {
				if route := regexp.MustCompile(`route="[^"]*"`).FindString(labels); route != `route="/oauth2/status/events"` {
					want["http_request_duration_seconds_count{"+route+"}"]++
				}
			}
		}
		for name, value := range s.series() {
			if value != before[name] && happened.MatchString(name) {
				got[name] = value - before[name]
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", what, diff)
		}
	}
	request := func(method, route string, code int) string {
		return fmt.Sprintf(`http_requests_total{code="%d",method="%s",route="%s"}`, code, method, route)
	}
	refusal := func(code, reason string) string {
		return fmt.Sprintf(`refusals_total{error="%s",reason="%s"}`, code, reason)
	}
	issued := func(grant string) string { return fmt.Sprintf(`tokens_issued_total{grant_type="%s"}`, grant) }
	signedIn := func(outcome string) string { return fmt.Sprintf(`sign_ins_total{outcome="%s"}`, outcome) }
	throttled := func(kind string) string { return fmt.Sprintf(`throttled_total{kind="%s"}`, kind) }
	const token = "/oauth2/token"

	var own string
	step("a token of a client's own", func() { own = s.token("service", secret) }, request("POST", token, 200), issued("client_credentials"))
	step("a wrong secret", func() { s.post(token, "service", "wrong", url.Values{"grant_type": {"client_credentials"}}) },
		request("POST", token, 401), refusal("invalid_client", "wrong_secret"))
	step("an unknown client", func() { s.post(token, "ghost", "wrong", url.Values{"grant_type": {"client_credentials"}}) },
		request("POST", token, 401), refusal("invalid_client", "unknown"))
	step("too many wrong secrets", func() {
		for range 2 {
			s.post(token, "service", "wrong", url.Values{"grant_type": {"client_credentials"}})
		}
	}, request("POST", token, 401), request("POST", token, 429), refusal("invalid_client", "wrong_secret"), refusal("invalid_client", "wrong_secret"), throttled("client_authentication"))
	step("a grant type that there is not", func() { s.post(token, "service", secret, url.Values{"grant_type": {"password"}}) },
		request("POST", token, 400), refusal("unsupported_grant_type", "other"))
	step("a method that it has not", func() { s.get(token) }, request("GET", "other", 405), refusal("invalid_request", "other"))
	step("nothing", func() { s.get("/nothing") }, request("GET", "other", 404), refusal("invalid_request", "other"))
	step("a probe", func() { s.ask(http.MethodHead, "/health/live") }, request("HEAD", "/health/live", 200))
	step("an asset", func() { s.get("/assets/nothing.css") }, request("GET", "/assets/", 404), refusal("invalid_request", "other"))

	p := s.person()
	var code string
	step("a sign-in for an app", func() { code = p.signIn("minji", a.request("scope", "openid read offline_access")).Get("code") },
		request("GET", "/oauth2/authorize", 200), request("POST", "/login", 303), request("GET", "/oauth2/authorize", 200), request("POST", "/consent", 303), signedIn("signed_in"))
	step("a code with another verifier", func() { a.redeem(s.server, code, "code_verifier", strings.Repeat("x", 43)) },
		request("POST", token, 400), refusal("invalid_grant", "wrong_verifier"))
	var set tokenSet
	step("a code", func() { set = a.redeem(s.server, code).tokens(t) }, request("POST", token, 200), issued("authorization_code"))
	step("a refresh", func() { a.refresh(s.server, set.Refresh).tokens(t) }, request("POST", token, 200), issued("refresh_token"))
	step("a refresh token that was used", func() { a.refresh(s.server, set.Refresh) }, request("POST", token, 400), refusal("invalid_grant", "reused"))
	step("a refresh token of a grant that was revoked", func() { a.refresh(s.server, set.Refresh) }, request("POST", token, 400), refusal("invalid_grant", "revoked"))
	step("a refresh token that is none", func() { a.refresh(s.server, "x") }, request("POST", token, 400), refusal("invalid_grant", "invalid"))

	signIn := func(user, password string) func() {
		return func() { s.person().get("/login").submit("username", user, "password", password) }
	}
	page := request("GET", "/login", 200)
	step("an unknown user", signIn("nobody", goodPassword), page, request("POST", "/login", 422), signedIn("unknown"), refusal("wrong_password", "unknown"))
	step("a disabled user", signIn("junho", goodPassword), page, request("POST", "/login", 422), signedIn("disabled"), refusal("wrong_password", "disabled"))
	for range 4 {
		step("a wrong password", signIn("minji", "wrong"), page, request("POST", "/login", 422), signedIn("wrong"), refusal("wrong_password", "wrong"))
	}
	step("one too many", signIn("minji", "wrong"), page, request("POST", "/login", 429), signedIn("throttled"), refusal("too_many_attempts", "throttled"), throttled("password"))
	d.user("sora")
	var pair tokenPair
	step("a sign-in by an app", func() {
		pair = s.postJSON("/login", members{"id": "sora", "pw": goodPassword, "client_id": "mobile"}).pair(t)
	}, request("POST", "/login", 200), signedIn("signed_in"), issued("authorization_code"))
	step("a refresh by that", func() { s.postJSON("/token/refresh", members{"refreshToken": pair.Refresh, "client_id": "mobile"}) }, request("POST", "/token/refresh", 200), issued("refresh_token"))

	path, index := statusOf(t, own)
	eventually(t, "the list is signed", 10*time.Second, func() bool { return s.get(path).status == http.StatusOK })
	step("a list", func() { s.get(path) }, request("GET", "/oauth2/status/{list}", 200))
	step("a list that is none", func() { s.get("/oauth2/status/999999") }, request("GET", "/oauth2/status/{list}", 404), refusal("invalid_request", "other"))
	bits := s.series()["statuses_set"]
	s.post("/oauth2/revoke", "service", secret, url.Values{"token": {own}})
	eventually(t, "the bit is set", 10*time.Second, func() bool { return s.bit(t, path, index) })

	now := s.series()
	build := regexp.MustCompile(`^ingam (\S+) commit (\S+) date \S+ (\S+)`).FindStringSubmatch(run(t, nil, "", "version").stdout)
	for name, want := range map[string]float64{
		"statuses_set": bits + 1,
		fmt.Sprintf(`build_info{commit=%q,goversion=%q,version=%q}`, build[2], build[3], build[1]): 1,
		`keys{ring="tokens",state="active"}`: 1, `keys{ring="tokens",state="published"}`: 1, `keys{ring="refresh",state="active"}`: 1, `keys{ring="tokens",state="withdrawn"}`: 0,
		`changes_behind_seconds`: 0, `status_lists_behind_seconds`: 0, `status_listeners`: 0, `database_writable`: 1, `status_lists`: 2,
		`throttled_total{kind="listeners"}`: 0, `sign_ins_total{outcome="failed"}`: 0, `database_max_open_connections{pool="write"}`: 1,
	} {
		if got, is := now[name]; !is || got != want {
			t.Errorf("%s is %v and not %v", name, got, want)
		}
	}
	month := (30 * 24 * time.Hour).Seconds()
	for name, most := range map[string]float64{
		`key_age_seconds{ring="tokens"}`: 600, `key_rotation_due_seconds{ring="tokens"}`: 12 * month, `status_lists_build_seconds`: 60,
		`database_open_connections{pool="read"}`: 1000, `statuses`: 1 << 30,
	} {
		if got, is := now[name]; !is || got <= 0 || got > most {
			t.Errorf("%s is %v", name, got)
		}
	}

	problems, err := promlint.New(strings.NewReader(s.exposed())).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		if strings.HasPrefix(problem.Metric, "ingam_") {
			t.Errorf("%s: %s", problem.Metric, problem.Text)
		}
	}
	// The docs list exactly the metrics that the server has.
	documented := map[string]bool{}
	docs, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(ingam_[a-z_]+)").FindAllStringSubmatch(string(docs), -1) {
		documented[row[1]] = true
	}
	exposed := map[string]bool{}
	for _, help := range regexp.MustCompile(`(?m)^# HELP (ingam_\S+)`).FindAllStringSubmatch(s.exposed(), -1) {
		exposed[help[1]] = true
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(exposed)), slices.Sorted(maps.Keys(documented))); diff != "" {
		t.Errorf("docs/operations.md: -exposed +documented\n%s", diff)
	}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr string
				Annotations map[string]string
			}
		}
	}
	_, text, _ := strings.Cut(string(docs), "```yaml\ngroups:")
	text, _, _ = strings.Cut(text, "```")
	if err := yaml.Unmarshal([]byte("groups:"+text), &rules); err != nil || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) == 0 {
		t.Fatalf("the rules cannot be read: %v", err)
	}
	for _, rule := range rules.Groups[0].Rules {
		names := regexp.MustCompile(`ingam_[a-z_]+`).FindAllString(rule.Expr, -1)
		if rule.Alert == "" || len(names) == 0 || rule.Annotations["summary"] == "" || strings.Count(rule.Expr, "(") != strings.Count(rule.Expr, ")") {
			t.Errorf("%+v", rule)
		}
		for _, name := range names {
			if !exposed[strings.TrimSuffix(name, "_bucket")] {
				t.Errorf("%s asks for %s", rule.Alert, name)
			}
		}
		// An alert with a label value that never occurs would never fire.
		for _, word := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(rule.Expr, -1) {
			if !strings.Contains(s.exposed(), word[0]) {
				t.Errorf("%s asks for %s", rule.Alert, word[0])
			}
		}
	}
}

// TestStrangersMakeNoSeries checks that requests cannot create time series without limit.
// An attacker could fill the memory of the server, and of Prometheus, with them.
func TestStrangersMakeNoSeries(t *testing.T) {
	t.Parallel()
	d := newDeployment(t).oneAtATime()
	d.must("migrate", "up")
	d.client("service")
	s := d.startMetered("INGAM_THROTTLE_CLIENT_FAILURES=1000000")
	const mark = "zqstranger"
	odd := func() string { return mark + strconv.FormatUint(rand.Uint64(), 36) }
	paths := []string{"/", "/oauth2/token", "/oauth2/token/", "//oauth2//token", "/oauth2/status/", "/oauth2/status/events/", "/assets/", "/assets", "/login", "/account/", "/.well-known/", "/a b/../"}
	send := func() {
		method := []string{"GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", strings.ToUpper(odd())}[rand.N(9)]
		path := paths[rand.N(len(paths))]
		if rand.N(2) == 0 {
			path += odd()
		}
		body := url.Values{"grant_type": {odd()}, "client_id": {odd()}, "scope": {odd()}, "username": {odd()}, "code": {odd()}}.Encode()
		r, err := http.NewRequest(method, s.url+(&url.URL{Path: path, RawQuery: url.Values{odd(): {odd()}}.Encode()}).String(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if rand.N(4) > 0 {
			r.URL.RawQuery = ""
		}
		r.URL.Host, r.Host = strings.TrimPrefix(s.url, "http://"), odd()+".test"
		r.Header.Set("Content-Type", []string{"application/x-www-form-urlencoded", "application/json", odd()}[rand.N(3)])
		r.Header.Set("Origin", "https://"+odd()+".test")
		if rand.N(2) == 0 {
			r.SetBasicAuth(odd(), odd())
		}
		s.do(r)
	}
	// raw sends a request line that no HTTP library sends.
	raw := func(line string) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s\r\nHost: %s\r\nConnection: close\r\n\r\n", line, odd())
		io.Copy(io.Discard, conn)
	}
	raws := func() {
		for _, line := range []string{"CONNECT " + odd() + ":443 HTTP/1.1", "GET http://" + odd() + "/" + odd() + " HTTP/1.1", "OPTIONS * HTTP/1.1", odd() + " /assets HTTP/1.1", "CONNECT /assets HTTP/1.1", "GET /%20" + odd() + "%20/x HTTP/1.1"} {
			raw(line)
		}
	}
	for range 600 {
		send()
	}
	raws()
	// More requests of the same kinds must add almost no series.
	words := map[string]bool{}
	for name := range s.series() {
		for _, label := range regexp.MustCompile(`\b(route|method|error|reason|outcome|kind|grant_type)="([^"]*)"`).FindAllStringSubmatch(name, -1) {
			words[label[1]+" "+label[2]] = true
		}
	}
	series := len(s.series())
	for range 600 {
		send()
	}
	raws()
	if n := len(s.series()); n > series+40 || n > 900 {
		t.Errorf("%d series became %d", series, n)
	}
	if text := s.exposed(); strings.Contains(strings.ToLower(text), mark) || strings.Contains(text, "service") {
		t.Errorf("what a stranger sends, or who a client is, is in the metrics:\n%s", text)
	}
	for word := range words {
		label, value, _ := strings.Cut(word, " ")
		known := regexp.MustCompile(`^[a-z_]+$`)
		switch label {
		case "method":
			known = regexp.MustCompile(`^(GET|HEAD|POST|OPTIONS|PUT|PATCH|DELETE|other)$`)
		case "route":
			known = regexp.MustCompile(`^(other|/\{\$\}|/[a-z0-9./_{}-]+)$`)
		}
		if !known.MatchString(value) {
			t.Errorf("%s is %q", label, value)
		}
	}
}
