package verify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// fetchTimeout bounds one request.
	fetchTimeout = 10 * time.Second
	// maxDocument bounds the metadata, the key set and the list of lists.
	maxDocument = 1 << 20
)

// errNotModified: the copy that this process has is still the current one.
var errNotModified = errors.New("not modified")

// errGone: the server says that there is no such document (404 or 410).
var errGone = errors.New("there is no such thing")

// source fetches from one origin and from nowhere else.
type source struct {
	origin string
	client *http.Client
}

func newSource(issuer string, client *http.Client) source {
	u, _ := url.Parse(issuer)
	c := *client
	// A stream is read for as long as it lives; requests have a bound of
	// their own.
	c.Timeout = 0
	// A redirect could lead to a server that the issuer's certificate does not
	// speak for; at worst to one inside this API's own network (SSRF).
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return source{u.Scheme + "://" + u.Host, &c}
}

// within returns an error unless that address is of the issuer's origin.
func (s source) within(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme+"://"+u.Host != s.origin || u.User != nil || u.Fragment != "" {
		return errors.New("an address is not of the issuer's origin")
	}
	return nil
}

// document is the answer to a request, and for how long it may be cached.
type document struct {
	body []byte
	etag string
	// age is how long the answer lay in a cache on the way. maxAge is for how long
	// it may still be cached: its max-age less age; negative if it has no max-age.
	maxAge, age time.Duration
}

// request says what to fetch, and how.
type request struct {
	url, accept string
	// etag is that of the copy that this process has; empty if it has none.
	etag string
	// fresh makes caches on the way ask the server before they answer.
	fresh bool
	// limit bounds the body.
	limit int64
}

// get fetches a document. With errNotModified it returns one that has no body.
func (s source) get(ctx context.Context, r request) (document, error) {
	if err := s.within(r.url); err != nil {
		return document{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return document{}, errors.New("an address cannot be used")
	}
	req.Header.Set("Accept", r.accept)
	if r.etag != "" {
		req.Header.Set("If-None-Match", r.etag)
	}
	if r.fresh {
		req.Header.Set("Cache-Control", "no-cache")
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return document{}, err
	}
	defer resp.Body.Close()
	d := document{etag: resp.Header.Get("ETag")}
	d.maxAge, d.age = lifetime(resp.Header)
	switch {
	case resp.StatusCode == http.StatusNotModified && r.etag != "":
		return d, errNotModified
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone:
		return document{}, fmt.Errorf("%w: %s", errGone, resp.Status)
	case resp.StatusCode != http.StatusOK:
		return document{}, fmt.Errorf("the server answered %s", resp.Status)
	}
	d.body, err = io.ReadAll(io.LimitReader(resp.Body, r.limit+1))
	if err != nil {
		return document{}, err
	}
	if int64(len(d.body)) > r.limit {
		return document{}, fmt.Errorf("the answer is longer than %d bytes", r.limit)
	}
	return d, nil
}

// lifetime reads Cache-Control and Age (RFC 9111 sections 5.1 and 5.2.2).
func lifetime(h http.Header) (maxAge, used time.Duration) {
	seconds := func(s string) (time.Duration, bool) {
		n, err := strconv.ParseUint(strings.Trim(s, `"`), 10, 31)
		return time.Duration(n) * time.Second, err == nil
	}
	used, _ = seconds(h.Get("Age"))
	maxAge = -1
	for directive := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0, used
		case "max-age":
			if d, ok := seconds(value); ok {
				maxAge = max(0, d-used)
			}
		}
	}
	return maxAge, used
}
