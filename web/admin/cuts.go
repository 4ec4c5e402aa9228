package admin

import (
	"context"
	"net/http"
	"time"

	"github.com/ingam/ingam/authz/administration"
)

// Cut is a cut that was made, or that would be.
type Cut struct {
	Kind      string  `json:"kind" enum:"grant,session,user,client,token,everything" doc:"What was cut; of a token that was issued under a grant it is the grant"`
	Subject   string  `json:"subject,omitempty" doc:"The id of what was cut; of a token its jti"`
	Username  string  `json:"username,omitempty"`
	ClientID  string  `json:"client_id,omitempty" doc:"The client of a token, where it is known"`
	ExpiresAt *string `json:"expires_at,omitempty" format:"date-time" doc:"When a token that was presented would have expired"`
	// What a dry run has counted, and who has applied the cut, if that was waited for. They
	// have no doc: OpenAPI 3.0 lets nothing stand beside a reference.
	WouldEnd  *Ends    `json:"would_end,omitempty"`
	Verifiers *Applied `json:"verifiers,omitempty"`
	Warnings  []string `json:"warnings,omitempty" doc:"What to mind about the cut"`
}

// Ends counts what a cut would end.
type Ends struct {
	Grants    int64 `json:"grants"`
	Clients   int64 `json:"clients" doc:"How many clients have these grants"`
	Users     int64 `json:"users" doc:"How many users have these grants"`
	Refreshed int64 `json:"refreshed" doc:"How many of these grants were made or refreshed in the last 15 minutes"`
	Sessions  int64 `json:"sessions"`
}

// Applied says which of the listening verifiers have applied the last cut.
type Applied struct {
	Applied  []Verifier `json:"applied"`
	Missing  []Verifier `json:"missing"`
	WaitedMS int64      `json:"waited_ms"`
}

// Verifier is a verifier that listens, and its connections that have applied a cut or have
// not. Each replica of an API has one.
type Verifier struct {
	ClientID    string   `json:"client_id"`
	Name        string   `json:"name"`
	APIs        []string `json:"apis"`
	Connections int      `json:"connections" doc:"How many have, or have not"`
	Of          int      `json:"of" doc:"How many there are"`
	SilentMS    int64    `json:"silent_ms" doc:"For how long nothing was heard of one of them"`
}

func newApplied(a administration.Applied) *Applied {
	return &Applied{newVerifiers(a.By), newVerifiers(a.Missing), a.Waited.Milliseconds()}
}

func newVerifiers(list []administration.Verifier) []Verifier {
	shown := make([]Verifier, len(list))
	for i, v := range list {
		shown[i] = Verifier{v.ClientID, v.Name, all(v.APIs), v.Connections, v.Of, v.Silent.Milliseconds()}
	}
	return shown
}

type cutOperations struct {
	cuts *administration.Cuts
	surface
}

func (o cutOperations) add() {
	const cut = administration.CutsMake
	add(o.surface, operation{method: http.MethodPost, path: "/cuts", id: "cut", scope: cut, summary: "Revoke what was issued so far", refuses: []int{http.StatusNotFound}}, o.make)
	add(o.surface, operation{method: http.MethodGet, path: "/cuts/applied", id: "awaitCut", scope: cut, summary: "Wait until every listening verifier has applied the last cut"}, o.applied)
}

// Waiting is the input of operations that wait for verifiers.
type Waiting struct {
	Wait string `query:"wait" maxLength:"20" doc:"Wait until every listening verifier has applied it, for at most this time, such as 10s, and not longer than a request may take"`
}

// time returns for how long to wait; zero if that was not asked for.
func (w Waiting) time() (time.Duration, error) {
	if w.Wait == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(w.Wait)
	if err == nil && d > 0 {
		return d, nil
	}
	return 0, wrongWait("wait is a time, such as 10s")
}

func wrongWait(detail string) *Problem {
	p := newKind(http.StatusUnprocessableEntity, "invalid", detail)
	p.Errors = []Flaw{{Parameter: "wait", Detail: detail}}
	return p
}

type cutAnswer struct{ Body Cut }

func (o cutOperations) make(ctx context.Context, by administration.Caller, in *struct {
	Write
	Waiting
	Body administration.Target
},
) (*cutAnswer, error) {
	wait, err := in.time()
	if err != nil {
		return nil, err
	}
	if in.DryRun && wait > 0 {
		return nil, wrongWait("a dry run revokes nothing, so there is nothing to wait for")
	}
	made, err := o.cuts.Make(in.context(ctx), by, in.Body, in.Reason)
	if err != nil {
		return nil, err
	}
	shown := Cut{Kind: string(made.Kind), Subject: made.Subject, Username: made.Username, ClientID: made.ClientID, ExpiresAt: instant(made.ExpiresAt)}
	if made.Warning != "" {
		shown.Warnings = []string{made.Warning}
	}
	if ends := made.Ends; ends != nil {
		shown.WouldEnd = &Ends{ends.Grants, ends.Clients, ends.Users, ends.Refreshed, ends.Sessions}
		return &cutAnswer{shown}, nil
	}
	o.settle(ctx, in.Write)
	if wait > 0 {
		applied, err := o.cuts.Await(ctx, wait)
		if err != nil {
			// It is cut, which an error would hide.
			o.told(ctx, err)
			shown.Warnings = append(shown.Warnings, "It is revoked, but who has applied it could not be found out.")
			return &cutAnswer{shown}, nil
		}
		shown.Verifiers = newApplied(applied)
	}
	return &cutAnswer{shown}, nil
}

type appliedAnswer struct{ Body Applied }

func (o cutOperations) applied(ctx context.Context, _ administration.Caller, in *struct{ Waiting }) (*appliedAnswer, error) {
	wait, err := in.time()
	if err != nil {
		return nil, err
	}
	applied, err := o.cuts.Await(ctx, wait)
	if err != nil {
		return nil, err
	}
	return &appliedAnswer{*newApplied(applied)}, nil
}
