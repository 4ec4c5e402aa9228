package admin

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/ingam/ingam/authz/administration"
)

// Application is a request to bring an installation to what files say.
type Application struct {
	administration.Desired
	Prune bool   `json:"prune,omitempty" doc:"Also delete what a file once made, and is in none any more"`
	Plan  string `json:"plan,omitempty" doc:"The plan that you have seen; if it would be another one by now, nothing is done"`
}

// Plan is what was done, or in a dry run would be done.
type Plan struct {
	Plan  string `json:"plan" doc:"The version of this plan"`
	Steps []Step `json:"steps"`
}

// Step is what is done to one record.
type Step struct {
	Kind   string `json:"kind" enum:"api,client,administrator"`
	ID     string `json:"id" doc:"The audience, the client_id or the user name"`
	Action string `json:"action" enum:"create,change,delete"`
	Drift  bool   `json:"drift,omitempty" doc:"Somebody has changed the record since a file made it"`
	// Changes are the members that become different.
	Changes      []Difference `json:"changes,omitempty"`
	ClientSecret string       `json:"client_secret,omitempty" doc:"The secret of a new client whose file names none; it is not shown again"`
}

// Difference is one member of a record, before and after.
type Difference struct {
	Member string          `json:"member" doc:"Its name in files"`
	Former json.RawMessage `json:"former" doc:"null for nothing"`
	Next   json.RawMessage `json:"next" doc:"null for nothing"`
}

// maxApplication is the longest body of an application, in bytes: some thousands of clients.
const maxApplication = 16 << 20

type applyOperations struct {
	apply *administration.Apply
	surface
}

func (o applyOperations) add() {
	add(o.surface, operation{
		method: http.MethodPost, path: "/apply", id: "apply", scope: administration.ClientsWrite, summary: "Bring APIs, clients and administrators' roles to what files say",
		refuses: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed}, maxBody: maxApplication,
	}, o.post)
	add(o.surface, operation{method: http.MethodGet, path: "/export", id: "export", scope: administration.ClientsRead, summary: "What files would say of the APIs, clients and administrators' roles that there are"}, o.export)
}

type planAnswer struct{ Body Plan }

func (o applyOperations) post(ctx context.Context, by administration.Caller, in *struct {
	Write
	Body Application
},
) (*planAnswer, error) {
	p, err := o.apply.Apply(in.context(ctx), by, in.Body.Desired, in.Body.Prune, in.Body.Plan, in.Reason)
	if err != nil {
		return nil, err
	}
	if len(p.Steps) > 0 {
		o.settle(ctx, in.Write)
	}
	answer := &planAnswer{Plan{Plan: p.Version(), Steps: []Step{}}}
	for _, s := range p.Steps {
		shown := Step{Kind: s.Kind, ID: s.ID, Action: s.Action, Drift: s.Drift, ClientSecret: s.Secret}
		for _, d := range s.Changes {
			shown.Changes = append(shown.Changes, Difference(d))
		}
		answer.Body.Steps = append(answer.Body.Steps, shown)
	}
	return answer, nil
}

type desiredAnswer struct{ Body administration.Desired }

func (o applyOperations) export(ctx context.Context, by administration.Caller, _ *struct{}) (*desiredAnswer, error) {
	d, err := o.apply.Export(ctx, by)
	if err != nil {
		return nil, err
	}
	return &desiredAnswer{d}, nil
}
