package web

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/ingam/ingam/authz/clients"
)

// origins answers whether a web origin belongs to a client: to the page of a
// first-party app, or to a redirect URI. It covers all clients, because neither a CORS
// preflight nor a broken link names one.
type origins struct {
	list func(ctx context.Context) ([]clients.Client, error)

	mu          sync.Mutex
	apps, sends []string
	until       time.Time
}

// originsHeld is how long the origins of all clients are cached, because strangers can
// ask as often as they like.
const originsHeld = 2 * time.Second

// has reports whether an origin is registered for a first-party app.
func (o *origins) has(ctx context.Context, origin string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.load(ctx)
	return slices.Contains(o.apps, origin), err
}

// sendsHere reports whether an origin is that of a client's redirect URI.
func (o *origins) sendsHere(ctx context.Context, origin string) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	err := o.load(ctx)
	return slices.Contains(o.sends, origin), err
}

func (o *origins) load(ctx context.Context) error {
	now := time.Now()
	if !now.After(o.until) {
		return nil
	}
	o.apps, o.sends = nil, nil
	all, err := o.list(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Disabled {
			continue
		}
		o.apps = append(o.apps, c.Origins...)
		o.sends = append(o.sends, c.Origins...)
		for _, address := range slices.Concat(c.RedirectURIs, c.PostLogoutRedirectURIs) {
			if u, err := url.Parse(address); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
				o.sends = append(o.sends, u.Scheme+"://"+u.Host)
			}
		}
	}
	o.until = now.Add(originsHeld)
	return nil
}
