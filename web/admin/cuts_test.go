package admin_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/storage/storagetest"
	"github.com/ingam/ingam/web/admin"
)

// issue returns an access token of client app, under a grant if it is not empty.
func (h *house) issue(grant string) (token, jti string, ref status.Ref) {
	h.Helper()
	h.must(h.rings.Maintain(h.Context()))
	h.must(h.store.OpenStatusList(h.Context(), status.List{Purpose: status.ForClients, Life: time.Hour, Size: 1000}, 10, time.Now()))
	block, err := h.store.TakeStatusBlock(h.Context(), status.ForClients, time.Hour, 10, "app")
	h.must(err)
	access := tokens.Access{ClientID: "app", Subject: "app", Audience: []string{"https://api.example.com"}, GrantID: grant, Status: status.Ref{List: block.List, Index: block.First}}
	token, err = tokens.NewIssuer(issuer, lists, h.rings, time.Now).MintAccess(h.Context(), &access, time.Minute)
	h.must(err)
	return token, access.ID, access.Status
}

// cuts returns the events of cuts, each as its action, subject and reason.
func (h *house) cuts() (all []string) {
	h.Helper()
	events, err := storagetest.Events(h.Context(), h.store, audit.Query{})
	h.must(err)
	for _, ev := range events {
		if strings.HasPrefix(string(ev.Action), "cut.") || ev.Action == audit.SessionEnded {
			all = append(all, fmt.Sprintf("%s %s %s", ev.Action, ev.Subject, ev.Reason))
		}
	}
	return all
}

func TestEveryKindOfCutIsTriedAndMade(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, kind, subject, event string
		ends                       float64
		left                       string
	}{
		"a grant":        {`{"grant": "g1"}`, "grant", "g1", "cut.grant g1", 1, "g4 g3 g2"},
		"a session":      {`{"session": "s-minji"}`, "session", "s-minji", "session.end s-minji", 1, "g4 g3 g2"},
		"a user by name": {`{"user": "minji"}`, "user", "id-minji", "cut.user id-minji", 2, "g4 g3"},
		"a user by id":   {`{"user": "id-minji"}`, "user", "id-minji", "cut.user id-minji", 2, "g4 g3"},
		"a client":       {`{"client": "web"}`, "client", "web", "cut.client web", 2, "g4 g2"},
		"everything":     {`{"everything": true}`, "everything", "", "cut.everything ", 4, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := granted(t)
			tried := h.operator("POST", "/cuts?dry_run=true&reason=why", c.body, nil)
			h.want(tried, http.StatusOK, "")
			subject, _ := tried.body["subject"].(string)
			ends, _ := tried.body["would_end"].(map[string]any)
			if tried.body["kind"] != c.kind || subject != c.subject || ends["grants"] != c.ends {
				t.Errorf("%s", tried.text)
			}
			if got := h.listed("state=live"); len(got) != 4 || len(h.cuts()) != 0 {
				t.Errorf("after a dry run there are %q", got)
			}
			cut := h.operator("POST", "/cuts?reason=why", c.body, nil)
			h.want(cut, http.StatusOK, "")
			if cut.body["kind"] != c.kind || cut.body["would_end"] != nil || cut.body["verifiers"] != nil {
				t.Errorf("%s", cut.text)
			}
			if got := strings.Join(h.listed("state=live"), " "); got != c.left {
				t.Errorf("left are %s", got)
			}
			if got := h.cuts(); !slices.Equal(got, []string{c.event + " why"}) {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestACutWritesAFewRowsHoweverMuchItEnds: 100,000 grants of a user end by the number that the
// user gets, the event of the audit log, and the numbered change that tells the servers.
func TestACutWritesAFewRowsHoweverMuchItEnds(t *testing.T) {
	t.Parallel()
	h := granted(t)
	storagetest.Exec(t, h.url, `
		WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
		INSERT INTO grants (id, client_id, user_id, session_id, scopes, audiences, auth_ms, amr, offline, user_epoch, client_epoch, server_epoch,
		                    created_ms, expires_ms, generation, rotated_ms, refresh_iat_ms, refresh_exp_ms, refresh_kid, refresh_version, revoked_ms, revoked_why)
		SELECT 'n' || i, 'web', 'id-minji', '', '[]', '[]', 0, '[]', 1, user_epoch, client_epoch, server_epoch, 1, 4102444800000, 1, 0, 0, 4102444800000, '', 1, 0, ''
		  FROM n, grants WHERE id = 'g1'`)
	rows := func() map[string]bool {
		all := map[string]bool{}
		for _, table := range storagetest.Select(t, h.url, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'") {
			name := strings.Trim(strings.Fields(table)[0], "[{}]")
			for _, row := range storagetest.Select(t, h.url, "SELECT * FROM "+name) {
				all[name+" "+row] = true
			}
		}
		return all
	}
	h.want(h.operator("POST", "/cuts?dry_run=true", `{"user": "minji"}`, nil), http.StatusOK, "")
	before := rows()
	h.want(h.operator("POST", "/cuts", `{"user": "minji"}`, nil), http.StatusOK, "")
	written := map[string]int{}
	for row := range rows() {
		if !before[row] {
			written[strings.Fields(row)[0]]++
		}
	}
	if d := cmp.Diff(map[string]int{"users": 1, "audit_events": 1, "changes": 1, "change_seq": 1}, written); d != "" || len(before) < 100_000 {
		t.Errorf("of %d rows: %s", len(before), d)
	}
}

// TestATokenThatIsPresentedIsCutAndNeverRepeated: neither in an answer, nor in an error, nor
// in the audit log. (Nothing logs a body.)
func TestATokenThatIsPresentedIsCutAndNeverRepeated(t *testing.T) {
	t.Parallel()
	h := granted(t)
	own, jti, _ := h.issue("")
	theirs, _, _ := h.issue("g2")
	var said strings.Builder
	cut := func(query, token string) answer {
		a := h.operator("POST", "/cuts?"+query, `{"token": "`+token+`"}`, nil)
		said.WriteString(a.text)
		return a
	}
	tried := cut("dry_run=true", own)
	h.want(tried, http.StatusOK, "")
	if tried.body["kind"] != "token" || tried.body["subject"] != jti || tried.body["client_id"] != "app" || tried.body["expires_at"] == nil {
		t.Errorf("%s", tried.text)
	}
	h.want(cut("", own), http.StatusOK, "")
	of := cut("", theirs)
	if of.body["kind"] != "grant" || of.body["subject"] != "g2" {
		t.Errorf("%s", of.text)
	}
	// Whichever of its generations a refresh token is of, it names the grant.
	signer := tokens.NewIssuer(issuer, lists, h.rings, time.Now)
	kid, err := signer.RefreshKey()
	h.must(err)
	refresh, err := signer.SignRefresh(tokens.Refresh{GrantID: "g3", ClientID: "app", Generation: 1, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour), KeyID: kid, Version: tokens.RefreshVersion})
	h.must(err)
	if again := cut("", refresh); again.body["kind"] != "grant" || again.body["subject"] != "g3" {
		t.Errorf("%s", again.text)
	}
	h.want(cut("", refresh[:len(refresh)-4]+"AAAA"), http.StatusUnprocessableEntity, "nothing-to-revoke")
	broken := cut("", own[:len(own)-4]+"AAAA")
	h.want(broken, http.StatusUnprocessableEntity, "nothing-to-revoke")
	if !slices.Equal(broken.pointers(), []string{"/token"}) {
		t.Errorf("%s", broken.text)
	}
	for _, body := range []string{`{"jti": "` + own + `"}`, `{"grant": "` + own + `"}`, `{"token": ["` + own + `"]}`, `{"token": "` + own + `", "more": 1}`, `{"Token": "` + own + `"}`, `{"token": "` + own + `", "client": "app"}`} {
		a := h.operator("POST", "/cuts", body, nil)
		if said.WriteString(a.text); a.status < 400 {
			t.Errorf("%s", a.text)
		}
	}
	if got, want := fmt.Sprint(h.cuts()), "[cut.token "+jti+"  cut.grant g2  cut.grant g3 ]"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
	events, err := storagetest.Events(h.Context(), h.store, audit.Query{})
	h.must(err)
	for _, token := range []string{own, theirs, refresh} {
		for _, part := range []string{token, token[:60], token[len(token)-60:]} {
			if strings.Contains(said.String(), part) || strings.Contains(fmt.Sprint(events), part) {
				t.Errorf("the token is repeated: %s %v", said.String(), events)
			}
		}
	}
}

func TestATokenIsCutByWhatAnAPILogs(t *testing.T) {
	t.Parallel()
	h := granted(t)
	_, jti, ref := h.issue("")
	target := func(more string) string { return `{"jti": "` + jti + `"` + more + `}` }
	list := fmt.Sprintf(`, "status_list": "%s", "status_index": %d`, lists.URI(ref.List), ref.Index)
	for body, at := range map[string]string{
		target(`, "exp": 1`):           "/exp",
		target(`, "exp": 99999999999`): "/exp",
		target(`, "status_list": "https://other.example/1", "status_index": 1`):        "/status_list",
		target(fmt.Sprintf(`, "status_list": "%d", "status_index": 900000`, ref.List)): "/status_index",
		target(`, "status_list": "1"`):                                                 "/status_index",
		target(`, "status_index": 1`):                                                  "/status_index",
		target(`, "status_list": "1", "status_index": -1`):                             "/status_index",
		`{"jti": "a b"}`:                   "/jti",
		`{"client": "app", "exp": 5}`:      "",
		`{"client": "app", "grant": "g1"}`: "",
		`{}`:                               "",
		`{"everything": false}`:            "",
	} {
		a := h.operator("POST", "/cuts", body, nil)
		if got := strings.Join(a.pointers(), " "); a.status != http.StatusUnprocessableEntity || got != at {
			t.Errorf("%s: %d %q %s", body, a.status, got, a.text)
		}
	}
	if got := h.cuts(); len(got) > 0 {
		t.Errorf("%q", got)
	}
	bare := h.operator("POST", "/cuts?dry_run=true", target(""), nil)
	if !strings.Contains(fmt.Sprint(bare.body["warnings"]), "also give status_list and status_index") {
		t.Errorf("%s", bare.text)
	}
	cut := h.operator("POST", "/cuts", target(list+fmt.Sprintf(`, "exp": %d`, time.Now().Add(time.Minute).Unix())), nil)
	h.want(cut, http.StatusOK, "")
	if cut.body["client_id"] != "app" || cut.body["warnings"] != nil {
		t.Errorf("%s", cut.text)
	}
	if got := h.cuts(); !slices.Equal(got, []string{"cut.token " + jti + " "}) {
		t.Errorf("%q", got)
	}
}

func TestWhatIsNotThereIsNotCut(t *testing.T) {
	t.Parallel()
	h := granted(t)
	for _, member := range []string{"grant", "session", "user", "client"} {
		for _, id := range []string{"ghost", `\u0000`, `\u202e`, "<b>"} {
			for _, query := range []string{"", "?dry_run=true"} {
				a := h.operator("POST", "/cuts"+query, `{"`+member+`": "`+id+`"}`, nil)
				h.want(a, http.StatusNotFound, map[bool]string{true: "no-such-session", false: "not-found"}[member == "session"])
				if got := a.pointers(); !slices.Equal(got, []string{"/" + member}) {
					t.Errorf("%s", a.text)
				}
			}
		}
	}
	for _, reason := range []string{"%00", "%ff"} {
		h.want(h.operator("POST", "/cuts?reason="+reason, `{"client": "web"}`, nil), http.StatusUnprocessableEntity, "malformed")
	}
	if got := h.cuts(); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

func TestACutSaysWhichVerifiersHaveAppliedIt(t *testing.T) {
	t.Parallel()
	h := granted(t)
	wait := func(query string) (applied, missing string) {
		a := h.operator("POST", "/cuts?"+query, `{"client": "web"}`, nil)
		h.want(a, http.StatusOK, "")
		verifiers, _ := a.body["verifiers"].(map[string]any)
		told := func(name string) string {
			var all []string
			list, _ := verifiers[name].([]any)
			for _, item := range list {
				v := item.(map[string]any)
				all = append(all, fmt.Sprintf("%v of %v %v: %v of %v", v["name"], v["client_id"], v["apis"], v["connections"], v["of"]))
			}
			return strings.Join(all, ", ")
		}
		return told("applied"), told("missing")
	}
	if applied, missing := wait("wait=5s"); applied+missing != "" {
		t.Errorf("%s %s", applied, missing)
	}
	for _, l := range []listeners.Listener{{ID: "1", Name: "orders"}, {ID: "2", Name: "orders"}, {ID: "3", Name: "stock"}} {
		l.ClientID = "app"
		h.must(h.store.SaveListener(t.Context(), l, false))
	}
	for _, id := range []string{"1", "3"} {
		h.must(h.store.Acknowledge(t.Context(), id, "app", changes.Number(1000)))
	}
	applied, missing := wait("wait=60ms")
	if applied != "orders of app []: 1 of 2, stock of app []: 1 of 1" || missing != "orders of app []: 1 of 2" {
		t.Errorf("%s; %s", applied, missing)
	}
	// A request that is bounded answers before its time is over.
	bounded, cancel := context.WithTimeout(administration.With(t.Context(), administration.Operator("test")), 1100*time.Millisecond)
	defer cancel()
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, httptest.NewRequestWithContext(bounded, http.MethodGet, issuer+admin.Path+"/cuts/applied?wait=1h", nil))
	if w.Code != http.StatusOK || bounded.Err() != nil || !strings.Contains(w.Body.String(), `"missing":[{`) {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	h.must(h.store.Acknowledge(t.Context(), "2", "app", changes.Number(1000)))
	last := h.operator("GET", "/cuts/applied?wait=5s", "", nil)
	if list, _ := last.body["missing"].([]any); last.status != http.StatusOK || len(list) > 0 {
		t.Errorf("%s", last.text)
	}
	for _, query := range []string{"wait=long", "wait=0s", "wait=-1s", "wait=5s&dry_run=true"} {
		a := h.operator("POST", "/cuts?"+query, `{"client": "web"}`, nil)
		if h.want(a, http.StatusUnprocessableEntity, "invalid"); !slices.Equal(a.pointers(), []string{"wait"}) {
			t.Errorf("%s", a.text)
		}
	}
}
