package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
)

// AuditHead is a head of the audit log's chain as it is shown.
type AuditHead struct {
	Number int64   `json:"number" doc:"The number of the last event that it stands for"`
	Digest string  `json:"digest" pattern:"^[0-9a-f]{64}$" doc:"The digest of that event, and with it of all before it"`
	At     *string `json:"at" format:"date-time" doc:"When it was signed"`
	Anchor bool    `json:"anchor,omitempty" doc:"The events up to it were purged: the chain begins after it"`
	KID    string  `json:"kid"`
	Signed string  `json:"signed" doc:"The head as it was signed: a JWS"`
}

// AuditFlaw is something that is wrong with the audit log.
type AuditFlaw struct {
	Kind    string `json:"kind" enum:"changed,missing,rewritten,unsigned,forged,cut_off,replaced" doc:"changed: an event was edited or moved; missing: events were removed; rewritten: among the events is one that was edited, put in or removed, and the digests after it were replaced; unsigned: no good head was signed after them; forged: a head was not signed by this server; cut_off: the log ends before the head that was kept; replaced: it has another history than the one whose head was kept"`
	First   int64  `json:"first" doc:"The number of the first event that it is about"`
	Last    int64  `json:"last"`
	EventID int64  `json:"event_id,omitempty" doc:"The id of the event, if it is about one that is there"`
	Detail  string `json:"detail"`
}

// Verification is a part of a verification of the audit log.
type Verification struct {
	Checked   int         `json:"checked" doc:"How many events were checked in this part"`
	Flaws     []AuditFlaw `json:"flaws" doc:"What is wrong"`
	Next      string      `json:"next_cursor,omitempty" doc:"The cursor of the next part; absent on the last one"`
	Head      *AuditHead  `json:"head,omitempty"`
	Unchained int64       `json:"unchained,omitempty" doc:"On the last part: how many events are not chained yet, and thus not protected"`
}

func newHead(h chain.Head) AuditHead {
	return AuditHead{h.Number, h.Digest.String(), instant(h.At), h.Anchor, h.KID, h.Signed}
}

// addChain registers the operations on the chain.
func (o auditOperations) addChain() {
	const read = administration.AuditRead
	add(o.surface, operation{method: http.MethodGet, path: "/audit/head", id: "getAuditHead", scope: read, summary: "Get the last signed head of the audit log, to keep it elsewhere", refuses: []int{http.StatusNotFound}}, o.head)
	add(o.surface, operation{method: http.MethodGet, path: "/audit/verify", id: "verifyAudit", scope: read, summary: "Verify that the audit log is as it was written, part by part", refuses: []int{http.StatusConflict}}, o.verify)
}

type headAnswer struct{ Body AuditHead }

func (o auditOperations) head(ctx context.Context, _ administration.Caller, _ *struct{}) (*headAnswer, error) {
	h, err := o.audit.Head(ctx)
	if err != nil {
		return nil, err
	}
	return &headAnswer{newHead(h)}, nil
}

type verificationAnswer struct{ Body Verification }

func (o auditOperations) verify(ctx context.Context, by administration.Caller, in *struct {
	Cursor string `query:"cursor" maxLength:"2000" doc:"The next_cursor of the part before; without it, the first part"`
	Head   string `query:"head" pattern:"^[1-9][0-9]{0,17}:[0-9a-f]{64}$" doc:"A head that was kept elsewhere, as NUMBER:DIGEST: without it, events that were cut off the end are not missed"`
},
) (*verificationAnswer, error) {
	var kept chain.Mark
	if in.Head != "" {
		if err := kept.UnmarshalText([]byte(in.Head)); err != nil {
			return nil, err // the pattern has let it through
		}
	}
	bound := about(by, "verify", in.Head)
	last, err := o.after(&Paging{Cursor: in.Cursor}, bound)
	if err != nil {
		return nil, err
	}
	var place chain.Place
	if last != nil {
		if err := json.Unmarshal(last, &place); err != nil {
			return nil, err
		}
	}
	report, err := o.audit.Verify(ctx, place, kept)
	if err != nil {
		return nil, err
	}
	answer := &verificationAnswer{Verification{Checked: report.Checked, Flaws: []AuditFlaw{}}}
	for _, f := range report.Flaws {
		answer.Body.Flaws = append(answer.Body.Flaws, AuditFlaw{f.Kind, f.First, f.Last, f.EventID, f.Detail})
	}
	if report.Next == nil {
		if report.Head.Number != 0 {
			head := newHead(report.Head)
			answer.Body.Head = &head
		}
		answer.Body.Unchained = report.Unchained
		return answer, nil
	}
	note, err := json.Marshal(report.Next)
	if err != nil {
		return nil, err
	}
	answer.Body.Next, err = o.parts.Cursors.Seal(note, bound)
	return answer, err
}

// ChainedEvent is an event in an export, with its place in the chain.
type ChainedEvent struct {
	Event
	Number int64  `json:"number"`
	Digest string `json:"digest"`
}

// ExportedKey is a line of an export: a key that verifies heads.
type ExportedKey struct {
	Key         json.RawMessage `json:"key" doc:"The key as a JWK"`
	WithdrawnAt *string         `json:"withdrawn_at,omitempty"`
}

// ExportedHead is a line of an export: a head, which comes after the last event that it
// stands for.
type ExportedHead struct {
	Head AuditHead `json:"head"`
}

// chained writes the chain after a number: the public keys, then events and heads by number.
func (o auditOperations) chained(ctx context.Context, in *EventQuery) (*huma.StreamResponse, error) {
	after := in.After
	if in.After = 0; *in != (EventQuery{}) {
		return nil, newKind(http.StatusUnprocessableEntity, "invalid", "the chain is exported whole: an event is proved by those before it")
	}
	// What is chained from now on is for the next export. The keys are read later, so that
	// they are all that have signed until now.
	last, err := o.audit.Head(ctx)
	if err != nil {
		return nil, err
	}
	public, err := o.audit.ChainKeys(ctx)
	if err != nil {
		return nil, err
	}
	return o.stream(ctx, func(ctx context.Context) (lines []any, more bool, err error) {
		for _, k := range public {
			lines = append(lines, ExportedKey{k.JWK, instant(k.WithdrawnAt)})
		}
		public = nil
		if after >= last.Number {
			return lines, false, nil
		}
		part, err := o.audit.ChainPart(ctx, after, last.Number)
		part.Each(func(l chain.Link) {
			lines = append(lines, ChainedEvent{newEvent(audit.Named{Event: l.Event}), l.Number, l.Digest.String()})
		}, func(h chain.Head) { lines = append(lines, ExportedHead{newHead(h)}) })
		after = part.Last
		return lines, part.More, err
	})
}
