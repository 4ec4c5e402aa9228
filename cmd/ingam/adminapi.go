package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/web"
	"github.com/ingam/ingam/web/admin"
)

// adminAPI sends a command's requests to the admin API: to its handlers within this
// process, on the server's database, while the server runs.
type adminAPI struct {
	t    *terminal
	send http.RoundTripper
	// base is the address of the API.
	base string
	// settles says that changes are answered when every server must know of them, so that
	// an operator who is told "disabled" or "revoked" can rely on it everywhere.
	settles bool
	// progress tells that an answer takes long.
	progress *progress
}

func newAdminAPI(t *terminal, send http.RoundTripper, base string) *adminAPI {
	return &adminAPI{t: t, send: send, base: base, settles: true, progress: newProgress(t.stderr)}
}

// withAdmin calls do with the admin API on the configured database.
func (t *terminal) withAdmin(cmd *cobra.Command, do func(*adminAPI) error, needs ...config.Need) error {
	if t.server != "" {
		return t.withRemote(cmd, do)
	}
	return t.withConcerns(cmd, func(c *concerns) error { return do(c.adminAPI()) }, needs...)
}

// withAdminRings is withAdmin for commands that may ask for another algorithm, or for
// encryption. If they do, by one of those flags, keys for it may have to be made.
func (t *terminal) withAdminRings(cmd *cobra.Command, flags []string, do func(*adminAPI) error) error {
	if t.server != "" {
		return t.withRemote(cmd, do)
	}
	return t.withRings(cmd, flags, func(c *concerns) error { return do(c.adminAPI()) })
}

// withAdminKeys is withAdmin for commands that change keys, or make
// secrets which the master key seals.
func (t *terminal) withAdminKeys(cmd *cobra.Command, do func(*adminAPI) error) error {
	if t.server != "" {
		return t.withRemote(cmd, do)
	}
	return t.withKeyring(cmd, func(c *concerns, _ *keys.Keyring) error { return do(c.adminAPI()) })
}

// withRemote calls do with the admin API of the server that --server names.
func (t *terminal) withRemote(cmd *cobra.Command, do func(*adminAPI) error) error {
	r, err := t.remote(cmd.Context())
	if err != nil {
		return err
	}
	return do(r.api(t))
}

// administered returns a group of commands that can also be sent to a server elsewhere.
func administered(t *terminal, g *cobra.Command) *cobra.Command {
	g.PersistentFlags().StringVar(&t.server, "server", "", "send it to the server with this URL, where you are signed in (ingam login)")
	return g
}

// adminAPI returns the API whose handlers are those of a server, called by the operator.
func (c *concerns) adminAPI() *adminAPI {
	in := &inside{by: administration.Operator(c.actor)}
	issuer := c.cfg.Issuer.String()
	log := chain.New(c.store, c.rings, c.t.now)
	parts := admin.Parts{
		Issuer: issuer, Version: thisBuild().version, Settle: c.settle, Failed: in.failed, Now: c.t.now, Cursors: ownCursors{},
		AccessTTL: c.cfg.Tokens.AccessTTL.Std(),
		APIs:      administration.NewAPIs(c.apis, c.clients, c.cuts),
		Clients:   administration.NewClients(c.clients, c.apis, c.cuts, issuer),
		Keys:      administration.NewKeys(c.rings, log),
		Audit:     administration.NewAudit(c.store, c.users, c.clients, log),
		Users:     administration.NewUsers(c.users, c.cuts, idTokens(c.cfg, c.apis.Own())),
		Sessions:  c.sessions(),
		LinkOf:    func(token string) string { return web.LinkOf(issuer, token) },
		Overviews: administration.NewOverviews(c.store, administration.NewKeys(c.rings, log), c.t.now),
	}
	parts.Apply = administration.NewApply(c.store, parts.APIs, parts.Clients, parts.Users)
	parts.Grants, parts.Cuts, parts.Access = c.grants(), c.administeredCuts(), c.access()
	in.handler = admin.New(parts, "")
	return newAdminAPI(c.t, in, "http://localhost"+admin.Path)
}

// inside sends requests to a handler in the same process. That the operator sends them is
// in their context, where no header, cookie or address can write it.
type inside struct {
	by      administration.Caller
	handler http.Handler
	fault   error
}

// failed keeps the cause of a fault: the operator may know what a caller elsewhere may not.
func (in *inside) failed(_ context.Context, err error) { in.fault = err }

// RoundTrip implements http.RoundTripper.
func (in *inside) RoundTrip(r *http.Request) (*http.Response, error) {
	in.fault = nil
	r = r.WithContext(administration.With(r.Context(), in.by))
	if strings.HasSuffix(r.URL.Path, admin.ExportPath) {
		return in.stream(r), nil
	}
	w := &recorder{header: http.Header{}, status: http.StatusOK}
	in.handler.ServeHTTP(w, r)
	if in.fault != nil {
		return nil, in.fault
	}
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
}

// recorder keeps an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }

// ownCursors are cursors that never leave this process, so nobody can make one.
type ownCursors struct{}

func (ownCursors) Seal(note, _ []byte) (string, error) {
	return base64.RawURLEncoding.EncodeToString(note), nil
}

func (ownCursors) Open(text string, _ []byte) ([]byte, bool) {
	note, err := base64.RawURLEncoding.DecodeString(text)
	return note, err == nil
}

// request is one request to the admin API.
type request struct {
	method, path string
	query        url.Values
	// version is the ETag of the record as it was read.
	version string
	body    any
	// prints says that what came before is on the screen, perhaps without an end of the line.
	prints bool
}

// problemError is a refusal of the admin API.
type problemError struct{ admin.Problem }

// Error is one line without control characters: it is printed to a terminal, and may come from
// elsewhere.
func (p *problemError) Error() string { return visible(strings.ReplaceAll(p.Detail, "\n", "; ")) }

// isProblem reports whether err is the problem with that name.
func isProblem(err error, name string) bool {
	var p *problemError
	return errors.As(err, &p) && strings.HasSuffix(p.Type, ":problem:"+name)
}

// maxAddress is the longest address of a request. A server takes no more than some KiB, and
// nothing that has a name or an id has such a long one.
const maxAddress = 8 << 10

var errTooLong = errors.New("this is too long for an id or a name")

// do sends a request, reads the answer into a value or copies it to an io.Writer, unless
// that is nil, and returns its ETag.
func (a *adminAPI) do(ctx context.Context, r request, into any) (version string, err error) {
	if strings.HasSuffix(r.path, "/") || strings.Contains(r.path, "//") {
		return "", errors.New("an id is empty")
	}
	var body io.Reader
	if r.body != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // claims are kept as they are sent
		if err := e.Encode(r.body); err != nil {
			return "", err
		}
		body = &b
	}
	if r.query == nil {
		r.query = url.Values{}
	}
	if r.method != http.MethodGet && a.settles {
		r.query.Set("settle", "true")
	}
	req, err := http.NewRequestWithContext(ctx, r.method, a.base+r.path+"?"+r.query.Encode(), body)
	if err != nil {
		return "", err
	}
	if len(req.URL.String()) > maxAddress {
		return "", errTooLong
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if r.version != "" {
		req.Header.Set("If-Match", r.version)
	}
	defer a.waits(r)()
	answer, err := a.send.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	if answer.StatusCode >= http.StatusMultipleChoices {
		p := &problemError{}
		if err := json.NewDecoder(answer.Body).Decode(&p.Problem); err != nil || p.Detail == "" {
			return "", fmt.Errorf("the admin API answered %s", visible(answer.Status))
		}
		return "", p
	}
	switch to, ok := into.(io.Writer); {
	case ok:
		_, err = io.Copy(to, answer.Body)
	case into != nil:
		err = json.NewDecoder(answer.Body).Decode(into)
	}
	return answer.Header.Get("ETag"), err
}

// waits tells people that an answer takes long, and returns what ends that.
func (a *adminAPI) waits(r request) (end func()) {
	switch {
	case r.prints && isTerminal(a.t.stdout):
		return func() {}
	case r.query.Has("settle"):
		return a.progress.begin("waiting until every server must know of it")
	}
	return a.progress.begin("waiting for the server")
}

// edit reads a record, has change made from it, and sends that; again, if somebody else
// changed the record in between. It reports whether the record is another one now.
func edit[T, C any](ctx context.Context, a *adminAPI, path string, query url.Values, change func(T) (C, error)) (is T, changed bool, err error) {
	for {
		var was T
		version, err := a.do(ctx, request{method: http.MethodGet, path: path}, &was)
		if err != nil {
			return is, false, err
		}
		body, err := change(was)
		if err != nil {
			return is, false, err
		}
		now, err := a.do(ctx, request{method: http.MethodPatch, path: path, query: query, version: version, body: body}, &is)
		if isProblem(err, "stale") && ctx.Err() == nil {
			continue
		}
		return is, now != version, err
	}
}

// eachOf calls do with each record of a list.
func eachOf[T any](ctx context.Context, a *adminAPI, path string, query url.Values, do func(T) error) error {
	for record, err := range records[T](ctx, a, path, query, 0) {
		if err != nil {
			return err
		}
		if err := do(record); err != nil {
			return err
		}
	}
	return nil
}

// records returns the records of a list, at most so many of them, or all if most is zero.
// It reads them in pages, so that a long list does not fill memory.
func records[T any](ctx context.Context, a *adminAPI, path string, query url.Values, most int) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		const largest = 1000
		query := maps.Clone(query)
		if query == nil {
			query = url.Values{}
		}
		for left := most; ; {
			n := largest
			if most > 0 {
				n = min(n, left)
			}
			query.Set("limit", strconv.Itoa(n))
			var page admin.Page[T]
			if _, err := a.do(ctx, request{method: http.MethodGet, path: path, query: query, prints: query.Has("cursor")}, &page); err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, note := range page.Notes {
				fmt.Fprintln(a.t.stderr, note)
			}
			for _, record := range page.Items {
				if !yield(record, nil) {
					return
				}
			}
			left -= len(page.Items)
			if page.Next == "" || most > 0 && left <= 0 {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

// parameterOf returns the parameter of the query that a problem is about; empty if it does
// not say one.
func parameterOf(err error) string {
	var p *problemError
	if errors.As(err, &p) && len(p.Errors) > 0 {
		return p.Errors[0].Parameter
	}
	return ""
}

// reasoned is the query of a change that has a reason.
func reasoned(reason string) url.Values {
	if reason == "" {
		return url.Values{}
	}
	return url.Values{"reason": {reason}}
}

// segment is an id as a part of a path. Dots alone would lead to another record.
func segment(id string) string {
	if id == "." || id == ".." {
		return "/" + strings.ReplaceAll(id, ".", "%2E")
	}
	return "/" + url.PathEscape(id)
}
