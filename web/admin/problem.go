package admin

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit/chain"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/field"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/throttle"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/keys"
)

var (
	// errOtherID: the body of a change names another record than the path.
	errOtherID = errors.New("the id cannot be changed: it is that in the path")
	// errOtherAudience: the same of an API.
	errOtherAudience = errors.New("an API's audience cannot be changed: clients and tokens name it")
)

// Problem is the body of an error (RFC 9457).
type Problem struct {
	Type   string `json:"type" doc:"The kind of problem: about:blank, or urn:ingam:problem: and a name that programs can rely on" example:"urn:ingam:problem:stale"`
	Title  string `json:"title" doc:"The HTTP status in words"`
	Status int    `json:"status" doc:"The HTTP status"`
	Detail string `json:"detail" doc:"What is wrong, for people"`
	Errors []Flaw `json:"errors,omitempty" doc:"The members of the request that are wrong"`
	// Existing is there for a creation only.
	Existing string `json:"existing,omitempty" doc:"The address of the record that is there already"`

	headers http.Header
}

// Flaw is one thing that is wrong with a request.
type Flaw struct {
	Pointer   string `json:"pointer,omitempty" doc:"The member of the body, as a JSON Pointer (RFC 6901)" example:"/redirect_uris/0"`
	Parameter string `json:"parameter,omitempty" doc:"The parameter of the path, the query or the header"`
	Detail    string `json:"detail"`
}

// kindPrefix begins the type of each problem that has a name.
const kindPrefix = "urn:ingam:problem:"

// kinds are the errors of the concerns that a caller is told, with the status and the name
// of the problem.
var kinds = []struct {
	err    error
	status int
	name   string
}{
	{administration.ErrForbidden, http.StatusForbidden, "forbidden"},
	{administration.ErrAnotherUser, http.StatusConflict, "another-user"},
	{administration.ErrOtherPlan, http.StatusPreconditionFailed, "other-plan"},
	{administration.ErrStale, http.StatusPreconditionFailed, "stale"},
	{administration.ErrInUse, http.StatusConflict, "in-use"},
	{administration.ErrLastAdministrator, http.StatusConflict, "last-administrator"},
	{errOtherID, http.StatusUnprocessableEntity, "invalid"},
	{errOtherAudience, http.StatusUnprocessableEntity, "invalid"},
	{catalog.ErrNotFound, http.StatusNotFound, "not-found"},
	{catalog.ErrExists, http.StatusConflict, "exists"},
	{catalog.ErrInUse, http.StatusConflict, "in-use"},
	{catalog.ErrIsClient, http.StatusConflict, "is-client"},
	{apis.ErrTooManySecrets, http.StatusConflict, "too-many-secrets"},
	{apis.ErrSecretSigns, http.StatusConflict, "secret-signs"},
	{apis.ErrNoneSigns, http.StatusConflict, "none-signs"},
	{apis.ErrSecretNotFound, http.StatusNotFound, "no-such-secret"},
	{apis.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{clients.ErrNotFound, http.StatusNotFound, "not-found"},
	{clients.ErrExists, http.StatusConflict, "exists"},
	{clients.ErrIsAudience, http.StatusConflict, "is-audience"},
	{clients.ErrTooManySecrets, http.StatusConflict, "too-many-secrets"},
	{clients.ErrLastSecret, http.StatusConflict, "last-secret"},
	{clients.ErrSecretNotFound, http.StatusNotFound, "no-such-secret"},
	{clients.ErrUnknownAudience, http.StatusUnprocessableEntity, "unknown-audience"},
	{chain.ErrNothing, http.StatusNotFound, "nothing-chained"},
	{chain.ErrTooOld, http.StatusConflict, "purged"},
	{keys.ErrNotFound, http.StatusNotFound, "not-found"},
	{keys.ErrNoRing, http.StatusConflict, "no-ring"},
	{keys.ErrEnded, http.StatusConflict, "ended"},
	{keys.ErrTooFresh, http.StatusConflict, "too-fresh"},
	{keys.ErrRaced, http.StatusConflict, "raced"},
	{keys.ErrForceAlone, http.StatusUnprocessableEntity, "invalid"},
	{grants.ErrNotFound, http.StatusNotFound, "not-found"},
	{consents.ErrNobody, http.StatusUnprocessableEntity, "invalid"},
	{administration.ErrNoCut, http.StatusUnprocessableEntity, "invalid"},
	{administration.ErrNothingToRevoke, http.StatusUnprocessableEntity, "nothing-to-revoke"},
	{tokens.ErrInvalid, http.StatusUnprocessableEntity, "nothing-to-revoke"},
	{clients.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{accounts.ErrNotFound, http.StatusNotFound, "not-found"},
	{accounts.ErrExists, http.StatusConflict, "exists"},
	{accounts.ErrEmailExists, http.StatusConflict, "taken"},
	{accounts.ErrEmailIsUsername, http.StatusConflict, "taken"},
	{accounts.ErrUsernameIsEmail, http.StatusConflict, "taken"},
	{accounts.ErrHasPassword, http.StatusConflict, "has-password"},
	{accounts.ErrLinkDisabled, http.StatusConflict, "disabled"},
	{accounts.ErrInvalid, http.StatusUnprocessableEntity, "invalid"},
	{throttle.ErrUnheard, http.StatusServiceUnavailable, "busy"},
	{sessions.ErrNotFound, http.StatusNotFound, "no-such-session"},
}

// problemOf returns what a caller is told of an error. Of a fault they are told nothing
// else: what is in it is for the log.
func problemOf(err error) *Problem {
	var told *Problem
	if errors.As(err, &told) {
		return told
	}
	at := field.Pointer(err)
	var stored interface{ Why() error }
	if errors.As(err, &stored) {
		err = stored.Why() // without the operation and the subject, which the caller knows
	}
	for _, k := range kinds {
		if errors.Is(err, k.err) {
			p := newKind(k.status, k.name, err.Error())
			if at != "" {
				p.Errors = []Flaw{{Pointer: at, Detail: err.Error()}}
			}
			return p
		}
	}
	refused := protocol.From(err)
	if refused.Code == protocol.TemporarilyUnavailable {
		return newKind(http.StatusServiceUnavailable, "unavailable", refused.Description)
	}
	return newKind(http.StatusInternalServerError, "fault", refused.Description)
}

func newKind(status int, name, detail string) *Problem {
	return &Problem{Type: kindPrefix + name, Title: http.StatusText(status), Status: status, Detail: detail}
}

// newProblem is what the library makes of a request whose form is wrong. It leaves out the
// values that were sent, which may be secrets.
func newProblem(status int, message string, errs ...error) huma.StatusError {
	if status == http.StatusBadRequest || message == brokenOff {
		status = http.StatusUnprocessableEntity // one status for a body that cannot be used
	}
	p := newKind(status, "malformed", message)
	for _, err := range errs {
		var d huma.ErrorDetailer
		if errors.As(err, &d) {
			p.Errors = append(p.Errors, flawAt(d.ErrorDetail().Location, d.ErrorDetail().Message))
		}
	}
	return p
}

// brokenOff is what the library says of a body that does not come to its end. It takes that
// for a fault of the server.
const brokenOff = "cannot read request body"

// flawAt translates the library's notation, such as body.origins[2] or query.limit.
func flawAt(location, detail string) Flaw {
	in, at, _ := strings.Cut(location, ".")
	if in != "body" {
		return Flaw{Parameter: at, Detail: detail}
	}
	if at == "" {
		if end := strings.LastIndexByte(detail, 0); end >= 0 { // a wrongMember
			return Flaw{Pointer: detail[:end], Detail: detail[end+1:]}
		}
		return Flaw{Detail: detail}
	}
	at = index.ReplaceAllString(at, ".$1")
	return Flaw{Pointer: "/" + strings.ReplaceAll(at, ".", "/"), Detail: detail}
}

var index = regexp.MustCompile(`\[(\d+)\]`)

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ofQuery says that the problem is with a request that has no body: a concern names the
// parameters of a query as it names the members of a record.
func (p *Problem) ofQuery() {
	for i, flaw := range p.Errors {
		if at, is := strings.CutPrefix(flaw.Pointer, "/"); is {
			p.Errors[i].Pointer, p.Errors[i].Parameter = "", at
		}
	}
}

// isFault reports whether the cause belongs in the log.
func (p *Problem) isFault() bool { return p.Status >= http.StatusInternalServerError }

// collections are where records of a kind are.
var collections = map[string]string{administration.KindAPI: "apis", administration.KindClient: "clients", administration.KindUser: "users"}

// address returns the address of a record.
func (s surface) address(collection, id string) string {
	return s.parts.Issuer + Path + "/" + collection + "/" + url.PathEscape(id)
}

// told returns the problem for an error, and has the cause of a fault logged.
func (s surface) told(ctx context.Context, err error) *Problem {
	p := problemOf(err)
	var there *administration.ThereError
	if errors.As(err, &there) {
		p.Existing = s.address(collections[there.Kind], there.ID)
	}
	if p.isFault() && s.parts.Failed != nil {
		s.parts.Failed(ctx, err)
	}
	return p
}
