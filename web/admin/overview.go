package admin

import (
	"context"
	"net/http"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/keys"
)

// Overview is what the server has, and what happened lately.
type Overview struct {
	Version  string `json:"version" doc:"The version of the server that answers"`
	Schema   int64  `json:"schema" doc:"The version of the database's schema"`
	Change   int64  `json:"change" doc:"The number of the last change in the change sequence"`
	Clients  Count  `json:"clients"`
	APIs     Count  `json:"apis"`
	Users    Count  `json:"users"`
	Sessions Count  `json:"live_sessions"`
	Grants   Count  `json:"live_grants"`
	Day      Lately `json:"last_24_hours"`
	Week     Lately `json:"last_7_days"`
	Rings    []Ring `json:"rings"`
}

// Count is how many records of a kind there are.
type Count struct {
	Count    int  `json:"count"`
	AtLeast  bool `json:"at_least,omitempty" doc:"Not all were looked at: there are so many or more"`
	Disabled int  `json:"disabled,omitempty" doc:"How many of those that were counted are disabled"`
}

// Lately is how often something happened, in spans of time.
type Lately struct {
	From         *string `json:"from" format:"date-time" doc:"When the first span begins; the last one has not ended"`
	Span         int     `json:"span_seconds" doc:"How long a span is"`
	Cuts         []int   `json:"cuts" doc:"How often something was revoked, for each span"`
	Refused      []int   `json:"refused_sign_ins" doc:"How many sign-ins were refused, for each span"`
	Reuses       []int   `json:"reuses" doc:"How often a refresh token or a code was used again, for each span"`
	CompleteFrom *string `json:"complete_from,omitempty" format:"date-time" doc:"There was so much that what happened before is not all counted"`
}

// Ring is the keys of a ring between which the next rotation is.
type Ring struct {
	Ring          string  `json:"ring"`
	Signs         string  `json:"signs,omitempty" doc:"The kid of the key that signs"`
	SignsFrom     *string `json:"signs_from" format:"date-time"`
	Next          string  `json:"next,omitempty" doc:"The kid of the key that signs after it"`
	NextSignsFrom *string `json:"next_signs_from" format:"date-time" doc:"When the next rotation is"`
}

type overviewOperations struct {
	overviews *administration.Overviews
	surface
}

func (o overviewOperations) add() {
	add(o.surface, operation{method: http.MethodGet, path: "/overview", id: "getOverview", scope: administration.OverviewRead, summary: "Show how much there is, and what happened lately"}, o.get)
}

type overviewAnswer struct{ Body Overview }

func (o overviewOperations) get(ctx context.Context, _ administration.Caller, _ *struct{}) (*overviewAnswer, error) {
	v, err := o.overviews.Make(ctx)
	if err != nil {
		return nil, err
	}
	rings := make([]Ring, len(v.Rings))
	for i, r := range v.Rings {
		rings[i] = newRing(r.Ring, r.Signs, r.Next)
	}
	return &overviewAnswer{Overview{
		Version: o.parts.Version, Schema: v.Schema, Change: int64(v.Change),
		Clients: newCount(v.Clients), APIs: newCount(v.APIs), Users: newCount(v.Users), Sessions: newCount(v.Sessions), Grants: newCount(v.Grants),
		Day: newLately(v.Day), Week: newLately(v.Week), Rings: rings,
	}}, nil
}

func newCount(c administration.Count) Count { return Count{c.N, c.More, c.Disabled} }

func newLately(l administration.Lately) Lately {
	return Lately{instant(l.From), int(l.Span.Seconds()), l.Cuts, l.Refused, l.Reuses, instant(l.CompleteFrom)}
}

func newRing(name keys.Ring, signs, next keys.Status) Ring {
	return Ring{string(name), signs.KID, instant(signs.SignsFrom), next.KID, instant(next.SignsFrom)}
}
