package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
)

// Event is an event of the audit log as it is shown.
type Event struct {
	ID      int64   `json:"id"`
	At      *string `json:"at" format:"date-time"`
	Actor   string  `json:"actor" doc:"Who did it: user:ID, client:ID, cli:NAME for who ran a command, or server"`
	Action  string  `json:"action" example:"client.disable"`
	Subject string  `json:"subject,omitempty" doc:"The id of what was changed: a user, a client, a kid, a jti; absent for the whole server"`
	// The names are the present ones, which may have changed since the event.
	ActorName   string            `json:"actor_name,omitempty"`
	SubjectName string            `json:"subject_name,omitempty"`
	UserName    string            `json:"user_name,omitempty" doc:"The name of the user in the details"`
	Reason      string            `json:"reason,omitempty"`
	Details     map[string]string `json:"details,omitempty"`
}

func newEvent(e audit.Named) Event {
	return Event{e.ID, instant(e.At), string(e.Actor), string(e.Action), e.Subject, e.ActorName, e.SubjectName, e.UserName, e.Reason, e.Details}
}

type auditOperations struct {
	audit *administration.Audit
	surface
}

// ExportPath is the path of the only operation whose answer has no end that is known.
const ExportPath = "/audit/export"

func (o auditOperations) add() {
	add(o.surface, operation{method: http.MethodGet, path: "/audit", id: "listAudit", scope: administration.AuditRead, summary: "List events of the audit log; a page may have less of them than the limit, or none, and be followed by another"}, o.list)
	add(o.surface, operation{method: http.MethodGet, path: ExportPath, id: "exportAudit", scope: administration.AuditRead, summary: "Write events of the audit log, the oldest first, one JSON object in each line; what breaks off is not complete, and goes on after its last id", refuses: []int{http.StatusNotFound}}, o.export)
	o.describeLines()
	o.addChain()
}

// describeLines says in the document what the lines of an export are. It has no way to say
// it of a type that is not one JSON value, so the schema stands for itself.
func (o auditOperations) describeLines() {
	schemas := o.OpenAPI().Components.Schemas
	line := &huma.Schema{Description: "A line of an export: an event; with chain, an event with its place in the chain, a public key, or a head, which comes after its event"}
	for _, of := range []reflect.Type{reflect.TypeFor[Event](), reflect.TypeFor[ChainedEvent](), reflect.TypeFor[ExportedKey](), reflect.TypeFor[ExportedHead]()} {
		line.OneOf = append(line.OneOf, schemas.Schema(of, true, ""))
	}
	schemas.Map()["AuditLine"] = line
	o.OpenAPI().Paths[ExportPath].Get.Responses["200"].Content = map[string]*huma.MediaType{
		ndjson: {Schema: &huma.Schema{Type: huma.TypeString, Description: "In each line an AuditLine"}},
	}
}

const ndjson = "application/x-ndjson"

// EventQuery is the input of operations that select events.
type EventQuery struct {
	Action    string    `query:"action" doc:"Only this action, such as client.disable"`
	Subject   string    `query:"subject" doc:"Only this subject: a user or a client by name or id, an audience, a kid, a jti"`
	NoSubject bool      `query:"no_subject" doc:"Only changes to the whole server; with subject, these as well"`
	Actor     string    `query:"actor" doc:"Only what this actor did: a user or a client by name or id, or an actor as it is written"`
	Since     time.Time `query:"since" doc:"Only what happened then or later"`
	Until     time.Time `query:"until" doc:"Only what happened before"`
	After     int64     `query:"after" minimum:"0" doc:"Only events with a greater id"`
}

func (q *EventQuery) asked() administration.Asked {
	return administration.Asked{
		Action: audit.Action(q.Action), Subject: q.Subject, NoSubject: q.NoSubject, Actor: q.Actor,
		Since: q.Since, Until: q.Until, After: q.After,
	}
}

// texts are the same only for the same query.
func (q *EventQuery) texts() []string {
	return []string{q.Action, q.Subject, q.Actor, fmt.Sprint(q.NoSubject, q.Since.UnixMilli(), q.Until.UnixMilli(), q.After)}
}

func (o auditOperations) list(ctx context.Context, by administration.Caller, in *struct {
	Paging
	EventQuery
	Order string `query:"order" enum:"newest,oldest" default:"newest" doc:"Which events come first"`
},
) (*pageAnswer[Event], error) {
	asked, bound := in.asked(), about(by, append(in.texts(), "audit", in.Order)...)
	asked.NewestFirst = in.Order == "newest"
	last, err := o.after(&in.Paging, bound)
	if err != nil {
		return nil, err
	}
	q, err := o.audit.Find(ctx, asked)
	if err != nil {
		return nil, err
	}
	if last != nil {
		on, err := strconv.ParseInt(string(last), 10, 64)
		if err != nil {
			return nil, err
		}
		q = q.Goes(on)
	}
	part, err := o.audit.Part(ctx, q, in.Limit)
	if err != nil {
		return nil, err
	}
	answer := &pageAnswer[Event]{Page[Event]{Items: []Event{}}}
	for _, e := range part.Events {
		answer.Body.Items = append(answer.Body.Items, newEvent(e))
	}
	if part.More {
		answer.Body.Next, err = o.parts.Cursors.Seal(strconv.AppendInt(nil, part.Last, 10), bound)
	}
	return answer, err
}

// A long answer has no limit of its own. These limit how long a part of it is waited for:
// of the database, and of who reads the answer; and when it is asked again whether they
// may.
const (
	partRead   = 10 * time.Second
	partTaken  = 30 * time.Second
	askedAgain = 5 * time.Second
)

func (o auditOperations) export(ctx context.Context, _ administration.Caller, in *struct {
	EventQuery
	Chain bool `query:"chain" doc:"Everything that is chained, in the order of its numbers, with the public keys, the heads, and the number and digest of each event, so that the lines prove themselves. Of the other parameters only after is allowed: it is a number then"`
},
) (*huma.StreamResponse, error) {
	if in.Chain {
		return o.chained(ctx, &in.EventQuery)
	}
	q, err := o.audit.Find(ctx, in.asked())
	if err != nil {
		return nil, err
	}
	return o.stream(ctx, func(ctx context.Context) (lines []any, more bool, err error) {
		part, err := o.audit.Part(ctx, q, audit.AtOnce)
		for _, e := range part.Events {
			lines = append(lines, newEvent(e))
		}
		q = q.Goes(part.Last)
		return lines, part.More, err
	})
}

// stream answers with the lines that next returns, part by part, until there are no more.
func (o auditOperations) stream(ctx context.Context, next func(context.Context) (lines []any, more bool, err error)) (*huma.StreamResponse, error) {
	part := func(ctx context.Context) ([]any, bool, error) {
		ctx, cancel := context.WithTimeout(ctx, partRead)
		defer cancel()
		return next(ctx)
	}
	// What fails at once is a problem like others.
	lines, more, err := part(ctx)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(to huma.Context) {
		if err := o.write(to, lines, more, part); err != nil && ctx.Err() == nil {
			o.told(ctx, err)
			// Otherwise what was sent would look complete.
			panic(http.ErrAbortHandler)
		}
	}}, nil
}

// write writes lines, part by part, until there are no more or nobody reads them.
func (o auditOperations) write(to huma.Context, lines []any, more bool, next func(context.Context) ([]any, bool, error)) error {
	to.SetHeader("Content-Type", ndjson)
	to.SetStatus(http.StatusOK)
	_, w := humago.Unwrap(to)
	control, e := http.NewResponseController(w), json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for admitted := o.parts.Now(); ; {
		_ = control.SetWriteDeadline(time.Now().Add(partTaken)) // within a process nobody is slow
		for _, line := range lines {
			if e.Encode(line) != nil {
				return nil
			}
		}
		if err := control.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
			return nil
		}
		if !more {
			return nil
		}
		if now := o.parts.Now(); now.Sub(admitted) > askedAgain {
			if p := o.again(to, administration.AuditRead); p != nil {
				return p
			}
			admitted = now
		}
		var err error
		if lines, more, err = next(to.Context()); err != nil {
			return err
		}
	}
}
