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

// errNotModified: the copy that is held is still the current one.
var errNotModified = errors.New("not modified")

// errGone: the server says that there is no such thing.
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
	// A redirect is an address that the issuer's origin has not vouched for by
	// its own certificate; at the worst one inside this network (SSRF).
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return source{u.Scheme + "://" + u.Host, &c}
}

// within reports whether that address is of the issuer's origin.
func (s source) within(address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme+"://"+u.Host != s.origin || u.User != nil || u.Fragment != "" {
		return errors.New("an address is not of the issuer's origin")
	}
	return nil
}

// document is what was fetched, and how caches may treat it.
type document struct {
	body []byte
	etag string
	// maxAge is less what a cache on the way has used up of it; negative if
	// nothing was said. age is that part.
	maxAge, age time.Duration
}

// request says how to fetch.
type request struct {
	url, accept string
	// etag is of the copy that is held.
	etag string
	// fresh asks caches on the way to ask the server.
	fresh bool
	// limit bounds the body.
	limit int64
}

// get fetches. The document of an errNotModified has no body.
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
