package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/cmd/ingam/load"
)

// benchCase is one kind of request that is measured.
type benchCase struct {
	name string
	// grant is the grant type that the case measures, if it does.
	grant string
	want  load.Answer
	// ready makes what n requests need, and returns what each connection sends.
	ready func(ctx context.Context, n int) ([]load.Series, error)
	// most is for how many requests it can be ready; zero for any number.
	most int
}

// benchTarget is a server whose endpoints are known, from its metadata.
type benchTarget struct {
	load.Target
	base *url.URL
	// discovery, token, introspection and jwks are the paths of its endpoints, empty if
	// there are none.
	discovery, token, introspection, jwks string
	connections                           int
}

// newBenchTarget returns the server of an issuer, of which only the address of the metadata
// is known.
func newBenchTarget(issuer string, connections int) (s *benchTarget, err error) {
	s = &benchTarget{connections: connections}
	if s.base, err = url.Parse(issuer); err != nil {
		return nil, err
	}
	s.discovery = strings.TrimSuffix(s.base.EscapedPath(), "/") + "/.well-known/openid-configuration"
	s.Target, err = load.To(s.base)
	return s, err
}

// findBenchTarget reads the metadata of an issuer. It refuses endpoints on another host.
func findBenchTarget(ctx context.Context, issuer string, connections int) (*benchTarget, error) {
	s, err := newBenchTarget(issuer, connections)
	if err != nil {
		return nil, err
	}
	body, _, err := getOnce(ctx, s.at(s.discovery), maxDocument)
	if err != nil {
		return nil, err
	}
	var metadata struct {
		Issuer        string `json:"issuer"`
		Token         string `json:"token_endpoint"`
		Introspection string `json:"introspection_endpoint"`
		JWKS          string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &metadata); err != nil {
		return nil, fmt.Errorf("the metadata of %s cannot be read: %w", issuer, err)
	}
	// Another issuer may share the host, and must not get the client's secret (RFC 8414
	// section 3.3).
	if strings.TrimSuffix(metadata.Issuer, "/") != strings.TrimSuffix(issuer, "/") {
		return nil, fmt.Errorf("the metadata of %s are those of another issuer: %q", issuer, metadata.Issuer)
	}
	var err1, err2, err3 error
	s.token, err1 = s.pathOf(metadata.Token)
	s.introspection, err2 = s.pathOf(metadata.Introspection)
	s.jwks, err3 = s.pathOf(metadata.JWKS)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	if s.token == "" || s.jwks == "" {
		return nil, fmt.Errorf("the metadata of %s names no token endpoint or no keys", issuer)
	}
	return s, nil
}

// at returns the URL of a path of the server.
func (s *benchTarget) at(path string) string { return s.base.Scheme + "://" + s.base.Host + path }

// pathOf returns the path of an endpoint of the server; empty if there is none.
func (s *benchTarget) pathOf(endpoint string) (string, error) {
	if endpoint == "" {
		return "", nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != s.base.Scheme || u.Host != s.base.Host {
		return "", fmt.Errorf("%q is not on %s, and nothing is sent elsewhere", endpoint, s.base.Host)
	}
	return u.RequestURI(), nil
}

// repeat returns a case that needs nothing made: the same request again and again.
func (s *benchTarget) repeat(name, text string, want load.Answer) benchCase {
	return benchCase{name: name, want: want, ready: func(context.Context, int) ([]load.Series, error) {
		return load.Repeat(text, s.connections), nil
	}}
}

// issues is how an answer with an access token begins.
var issues = load.Answer{Status: http.StatusOK, Begins: `{"access_token":"ey`}

func (s *benchTarget) tokenRequest(id, secret string) string {
	return s.Form(s.token, url.Values{"grant_type": {clients.ClientCredentials}}, "Authorization", load.Basic(id, secret))
}

// tokenCase is a client that asks for a token of its own.
func (s *benchTarget) tokenCase(name, id, secret string) benchCase {
	c := s.repeat(name, s.tokenRequest(id, secret), issues)
	c.grant = clients.ClientCredentials
	return c
}

// tokens returns n tokens of a client.
func (s *benchTarget) tokens(ctx context.Context, id, secret string, n int) ([]string, error) {
	wires, err := s.Dial(ctx, min(s.connections, n))
	if err != nil {
		return nil, err
	}
	defer load.Close(wires)
	var (
		mu  sync.Mutex
		all []string
	)
	series := load.Repeat(s.tokenRequest(id, secret), len(wires))
	for i := range series {
		series[i].Took = func(body []byte) error {
			var answer struct {
				Token string `json:"access_token"`
			}
			err := json.Unmarshal(body, &answer)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, answer.Token)
			return err
		}
	}
	_, err = load.Plan{Wires: wires, Series: series, Want: issues, Requests: n}.Run(ctx)
	return all, outcome(ctx, err)
}

// introspectionCases are an API that asks about the tokens of a client: about one again and
// again, as APIs do while it is valid, and about each once, so that its signature is
// checked.
func (s *benchTarget) introspectionCases(token, id, secret, asker, askerSecret string) []benchCase {
	about := func(token string) string {
		return s.Form(s.introspection, url.Values{"token": {token}}, "Authorization", load.Basic(asker, askerSecret))
	}
	want := load.Answer{Status: http.StatusOK, Begins: `{"active":true`}
	first := benchCase{name: "introspection-first", want: want, most: 5_000, ready: func(ctx context.Context, n int) ([]load.Series, error) {
		texts, err := s.tokens(ctx, id, secret, n)
		for i := range texts {
			texts[i] = about(texts[i])
		}
		return load.Each(texts, s.connections), err
	}}
	return []benchCase{s.repeat("introspection", about(token), want), first}
}

// publicCases are what anybody may fetch: keys, also if they have not changed, metadata, and
// the status list of a token.
func (s *benchTarget) publicCases(ctx context.Context, token string) (cases []benchCase, missing []string, err error) {
	_, etag, err := getOnce(ctx, s.at(s.jwks), maxDocument)
	if err != nil {
		return nil, nil, err
	}
	there := load.Answer{Status: http.StatusOK, Begins: "{"}
	cases = append(cases, s.repeat("jwks", s.Get(s.jwks), there))
	if etag != "" {
		cases = append(cases, s.repeat("jwks-304", s.Get(s.jwks, "If-None-Match", etag), load.Answer{Status: http.StatusNotModified}))
	} else {
		missing = append(missing, "jwks-304 (its keys have no ETag)")
	}
	cases = append(cases, s.repeat("discovery", s.Get(s.discovery), there))
	list := listOf(token)
	path, err := s.pathOf(list)
	if list == "" || err != nil {
		return cases, append(missing, "status-list (its tokens name none here)"), nil
	}
	return append(cases, s.repeat("status-list", s.Get(path, "Accept", "application/statuslist+jwt"), load.Answer{Status: http.StatusOK, Begins: "ey"})), missing, nil
}

// visitorCases are what a client of a running server may do, and what it may not.
func (s *benchTarget) visitorCases(ctx context.Context, id, secret string) (cases []benchCase, missing []string, err error) {
	some, err := s.tokens(ctx, id, secret, 1)
	if err != nil {
		return nil, nil, fmt.Errorf("a token for client %s: %w", id, err)
	}
	cases = []benchCase{s.tokenCase("token", id, secret)}
	introspection := s.introspectionCases(some[0], id, secret, id, secret)
	may, err := s.mayIntrospect(ctx, introspection[0])
	if err != nil {
		return nil, nil, fmt.Errorf("introspection: %w", err)
	}
	if may {
		cases = append(cases, introspection...)
	} else {
		missing = append(missing, "introspection (the client may not introspect its token)")
	}
	public, without, err := s.publicCases(ctx, some[0])
	return append(cases, public...), append(missing, without...), err
}

// mayIntrospect tries one introspection. A server that fails, or that says that there are too
// many requests, says nothing about what the client may do.
func (s *benchTarget) mayIntrospect(ctx context.Context, c benchCase) (bool, error) {
	if s.introspection == "" {
		return false, nil
	}
	err := s.try(ctx, c)
	if refused, ok := errors.AsType[*load.UnexpectedError](err); ok && refused.Status < http.StatusInternalServerError && refused.Status != http.StatusTooManyRequests {
		return false, nil
	}
	return err == nil, outcome(ctx, err)
}

// try sends one request of a case.
func (s *benchTarget) try(ctx context.Context, c benchCase) error {
	series, err := c.ready(ctx, 1)
	if err != nil {
		return err
	}
	wires, err := s.Dial(ctx, 1)
	if err != nil {
		return err
	}
	defer load.Close(wires)
	_, err = wires[0].Exchange(series[0].Next(), c.want)
	return err
}

// listOf returns the address of the status list that a token names; empty if it names
// none.
func listOf(token string) string {
	var claims struct {
		Status struct {
			List struct {
				URI string `json:"uri"`
			} `json:"status_list"`
		} `json:"status"`
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return ""
	}
	return claims.Status.List.URI
}
