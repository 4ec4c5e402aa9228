package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/rs/cors"
)

// router makes an http.Handler from the table of routes.
type router struct {
	// base is the issuer's path.
	base string
	// maxBody is the longest request body, in bytes.
	maxBody int64
	// limit is the longest time for a request, so that it gets an answer even if the
	// database gives none.
	limit time.Duration
	// open lets scripts of the configured origins call endpoints; nil if there are
	// none.
	open *cors.Cors
	// apps lets scripts of first-party apps call endpoints.
	apps   appPages
	faults faults
	guard  guard
	owners owners
}

// newCORS returns nil if there are no origins, because the library would allow all.
func newCORS(origins []string) *cors.Cors {
	if len(origins) == 0 {
		return nil
	}
	return cors.New(cors.Options{
		AllowedOrigins: origins,
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost},
		// Libraries add headers of their own, as tracing does. A header that means
		// nothing here is no reason to refuse a script.
		AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"Retry-After", "WWW-Authenticate", headerRequestID},
		MaxAge:         600,
	})
}

// handler is an endpoint, a page, or a page that needs a user who is signed in.
type handler interface {
	// behind wraps it in what all handlers of its kind have in common.
	behind(rt router, from sender) http.Handler
}

func (h endpoint) behind(rt router, from sender) http.Handler {
	if from == ownPages {
		h = endpoint(rt.guard.ours(page(h)))
	}
	return h
}

func (h page) behind(rt router, from sender) http.Handler {
	if from == ownPages {
		h = rt.guard.ours(h)
	}
	return rt.faults.page(h)
}

func (h owned) behind(rt router, from sender) http.Handler {
	return rt.owners.only(h).behind(rt, from)
}

// mux returns the handler for all routes, and for requests without a route.
func (rt router) mux(table []route) *http.ServeMux {
	mux := http.NewServeMux()
	byPattern, preflighted := map[string][]route{}, map[string]bool{}
	for _, r := range table {
		for _, path := range r.paths(rt.base) {
			byPattern[r.method+" "+path] = append(byPattern[r.method+" "+path], r)
			if preflight := rt.across(r.scripts, http.HandlerFunc(options)); preflight != nil && !preflighted[path] {
				// Not the route's handler: an OPTIONS request that is no preflight must
				// do nothing.
				preflighted[path] = true
				mux.Handle(http.MethodOptions+" "+path, rt.timed(preflight))
			}
		}
	}
	for pattern, routes := range byPattern {
		mux.Handle(pattern, rt.byBody(routes))
	}
	// The mux would match more than the table says: an OPTIONS request for a path without
	// scripts with the path of another route that has some, so that any site's preflight
	// would be granted; and HEAD with a GET that does not end, so that somebody would be
	// a listener to whom nothing can be sent.
	unserved := map[string]bool{everything: true}
	for _, r := range table {
		for _, path := range r.paths(rt.base) {
			if !preflighted[path] {
				unserved[http.MethodOptions+" "+path] = true
			}
			if r.endless {
				unserved[http.MethodHead+" "+path] = true
			}
		}
	}
	otherwise := unrouted(rt.timed(rt.faults.page(nothing(mux, unserved))))
	for pattern := range unserved {
		mux.Handle(pattern, otherwise)
	}
	return mux
}

// unrouted makes a request count as one without a route, whichever pattern it matched.
func unrouted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Pattern = everything
		h.ServeHTTP(w, r)
	})
}

// paths returns all paths of a route.
func (r route) paths(base string) []string {
	below, root := base+r.path, r.path
	paths := map[where][]string{
		belowIssuer: {below},
		wellKnown:   {root + base},
		eitherWay:   {below, root + base},
		rootToo:     {below, root},
		rootOnly:    {root},
	}[r.where]
	return slices.Compact(paths)
}

// byBody chooses among routes with the same method and path by the type of the
// request's body. The last one serves all other types.
func (rt router) byBody(routes []route) http.Handler {
	last := len(routes) - 1
	h := rt.within(routes[last])
	for _, r := range slices.Backward(routes[:last]) {
		otherwise, this := h, rt.within(r)
		h = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if r.body.is(req) {
				this.ServeHTTP(w, req)
				return
			}
			otherwise.ServeHTTP(w, req)
		})
	}
	return h
}

func (b body) is(r *http.Request) bool {
	switch b {
	case jsonBody:
		return isJSON(r)
	case formBody:
		return isForm(r)
	}
	return false
}

// within wraps the handler of a route in the route's limits.
func (rt router) within(r route) http.Handler {
	h := rt.limited(r.body, r.handler.behind(rt, r.sender))
	if across := rt.across(r.scripts, h); across != nil {
		h = across
	}
	if r.endless {
		return endless(h)
	}
	return rt.timed(h)
}

// across lets scripts of other origins call h; it returns nil if none may.
func (rt router) across(whose scripts, h http.Handler) http.Handler {
	switch {
	case whose == anyScripts && rt.open != nil:
		return rt.open.Handler(h)
	case whose == appScripts:
		return rt.apps.cross(h)
	}
	return nil
}

// limited limits the body that h can read to what its route allows. If the route has no
// body, h reads nothing. An operation of the admin API reads only what is within a limit of
// its own, once it knows who calls: files that are applied are longer than forms.
func (rt router) limited(b body, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch b {
		case noBody:
			r.Body = http.NoBody
		case operationBody:
		default:
			r.Body = http.MaxBytesReader(w, r.Body, rt.maxBody)
		}
		h.ServeHTTP(w, r)
	})
}

// timed limits the time of a request.
func (rt router) timed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), rt.limit)
		defer cancel()
		h.ServeHTTP(w, r.WithContext(ctx))
	})
}

// endless marks requests whose duration means nothing. Their handlers limit the time of
// their database calls themselves.
func endless(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		recordOf(r).endless = true
		h.ServeHTTP(w, r)
	})
}
