package admin

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/changes"
)

// scheme is the name of the only way to authenticate.
const scheme = "bearer"

// operation is one line of the API: what it is called, and who may.
type operation struct {
	method, path, id string
	// scope is what the caller must have.
	scope   string
	summary string
	// status is that of success; zero means 200.
	status int
	// maxBody is the longest body, in bytes; zero means 1 MiB.
	maxBody int64
	// refuses are the statuses of problems, besides those that every operation can have.
	refuses []int
}

// Write is the input of operations that change something.
type Write struct {
	Reason string `query:"reason" maxLength:"500" doc:"Why, for the audit log"`
	DryRun bool   `query:"dry_run" doc:"Check everything and answer as if it was done, but do nothing"`
	Settle bool   `query:"settle" doc:"Answer only when every server must know of the change"`
}

// context returns the context to make the change in.
func (w *Write) context(ctx context.Context) context.Context {
	if w.DryRun {
		return changes.DryRun(ctx)
	}
	return ctx
}

// settle waits if the caller asked for it.
func (s surface) settle(ctx context.Context, w Write) {
	if w.Settle && !w.DryRun && s.parts.Settle != nil {
		s.parts.Settle(ctx)
	}
}

// Conditional is the input of operations that change a record which others may change.
type Conditional struct {
	IfMatch string `header:"If-Match" doc:"The ETag of the record as you have read it, or * (RFC 9110 section 13.1.1)"`
}

// known returns the version of the record that the caller has read. Without one, of two
// editors at once the second would undo what the first did, and neither would be told.
func (c *Conditional) known() (string, error) {
	switch tag := strings.TrimSpace(c.IfMatch); {
	case tag == "":
		return "", newKind(http.StatusPreconditionRequired, "no-version", "say which version of the record you change: If-Match, with its ETag or *")
	case tag == administration.Any:
		return administration.Any, nil
	default:
		version := strings.Trim(tag, `"`)
		if version == administration.Any { // a tag that is called so, as no record's is
			version = tag
		}
		return version, nil
	}
}

// tag writes a version as an ETag.
func tag(version string) string { return `"` + version + `"` }

// add registers an operation.
func add[I, O any](s surface, op operation, handle func(context.Context, administration.Caller, *I) (*O, error)) {
	errs := append([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable}, op.refuses...)
	if op.method != http.MethodGet {
		errs = append(errs, http.StatusRequestTimeout, http.StatusUnsupportedMediaType, http.StatusRequestEntityTooLarge)
	}
	slices.Sort(errs)
	huma.Register(s.API, huma.Operation{
		Method: op.method, Path: op.path, OperationID: op.id, Summary: op.summary, DefaultStatus: op.status,
		Errors: slices.Compact(errs), MaxBodyBytes: op.maxBody, Tags: []string{strings.SplitN(op.path, "/", 3)[1]},
		Security:    []map[string][]string{{scheme: {op.scope}}},
		Middlewares: huma.Middlewares{s.admit(op.scope), s.once},
	}, func(ctx context.Context, in *I) (*O, error) {
		caller, ok := administration.From(ctx)
		if !ok { // admit lets nobody through without one
			return nil, s.told(ctx, administration.ErrForbidden)
		}
		out, err := handle(ctx, caller, in)
		if err != nil {
			p := s.told(ctx, err)
			if op.method == http.MethodGet {
				p.ofQuery()
			}
			return nil, p
		}
		return out, nil
	})
	s.wantVersion(op)
}

// wantVersion says in the document that an operation needs the header If-Match, if it takes
// one. The library must not demand it: what is missing then has a status of its own.
func (s surface) wantVersion(op operation) {
	path := s.OpenAPI().Paths[op.path]
	for _, known := range []*huma.Operation{path.Patch, path.Delete} {
		if known == nil || known.OperationID != op.id {
			continue
		}
		for _, p := range known.Parameters {
			if p.Name == "If-Match" {
				p.Required = true
			}
		}
	}
}

// canBeEmpty are the parameters of which the empty value is one like others.
var canBeEmpty = []string{"actor", "cursor", "reason", "subject"}

// once refuses a parameter that is given twice: the library would read the first, and
// whoever looks at the request in between may read the last. It also refuses one that is
// given without a value, which the library would take for one that is not given: what is
// meant for one user, or as a dry run, would then be done to all, and indeed.
// The same goes for a query that cannot be read, of which the library leaves parts out.
// It refuses a value that is no text, which not every database could store or compare.
func (s surface) once(ctx huma.Context, next func(huma.Context)) {
	u := ctx.URL()
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		s.refuse(ctx, newKind(http.StatusUnprocessableEntity, "malformed", "the query cannot be read"))
		return
	}
	for name, values := range query {
		wrong := ""
		switch {
		case len(values) > 1:
			wrong = "given twice"
		case values[0] == "" && !slices.Contains(canBeEmpty, name):
			wrong = "given without a value"
		case !utf8.ValidString(values[0]) || strings.ContainsRune(values[0], 0):
			wrong = "not text in UTF-8 without U+0000"
		default:
			continue
		}
		p := newKind(http.StatusUnprocessableEntity, "malformed", "a parameter is "+wrong)
		p.Errors = []Flaw{{Parameter: name, Detail: wrong}}
		s.refuse(ctx, p)
		return
	}
	next(ctx)
}
