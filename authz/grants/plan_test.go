package grants

import (
	"testing"
	"time"

	"github.com/ingam/ingam/authz/protocol"
	"github.com/ingam/ingam/authz/tokens"
)

func TestPlans(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	issued, expires := now.Add(-time.Hour), now.Add(6*time.Hour)
	// of returns the facts of a token of generation 5. It was issued an hour ago, and
	// has been replaced behind times since.
	of := func(behind int64, change ...func(*facts)) facts {
		f := facts{
			token: tokens.Refresh{Generation: 5, IssuedAt: issued, KeyID: "k"}, grace: 30 * time.Second, signs: true, now: now,
			grant: Standing{Age: 10 * time.Second, Grant: Grant{Refresh: Refresh{Generation: 5 + behind, IssuedAt: issued, ExpiresAt: expires, KeyID: "k"}}},
		}
		for _, c := range change {
			c(&f)
		}
		return f
	}
	lost := func(f *facts) { f.lost = true }
	strict := func(f *facts) { f.grace = 0 }
	late := func(f *facts) { f.grant.Age = f.grace + time.Millisecond }
	withdrawn := func(f *facts) { f.signs = false }
	tabs := func(f *facts) { f.shared = true }
	refused := func(reason protocol.Reason) plan { return plan{refuse, reason} }
	for what, c := range map[string]struct {
		facts facts
		want  plan
	}{
		"the current one":                        {of(0), plan{step: rotate}},
		"the current one, long after":            {of(0, late), plan{step: rotate}},
		"the current one, its key withdrawn":     {of(0, withdrawn), plan{step: rotate}},
		"the one before":                         {of(1), plan{step: repeat}},
		"the one before, at the end of grace":    {of(1, func(f *facts) { f.grant.Age = f.grace }), plan{step: repeat}},
		"the one before, after the grace":        {of(1, late), refused(protocol.ReasonReused)},
		"the one before, without grace":          {of(1, strict), refused(protocol.ReasonReused)},
		"the one before, at once, without grace": {of(1, strict, func(f *facts) { f.grant.Age = 0 }), refused(protocol.ReasonReused)},
		"the one before, its key withdrawn":      {of(1, withdrawn), plan{step: rotate}},
		"an older one":                           {of(2), refused(protocol.ReasonReused)},
		"a newer one than the row":               {of(-1), refused(protocol.ReasonAhead)},
		"one of another timeline":                {of(0, func(f *facts) { f.token.IssuedAt = issued.Add(time.Second) }), refused(protocol.ReasonAhead)},
		"one of another timeline, by its key":    {of(0, func(f *facts) { f.token.KeyID = "other" }), refused(protocol.ReasonAhead)},

		"tabs, the current one within the grace": {of(0, tabs), plan{step: rest}},
		"tabs, after the grace":                  {of(0, tabs, late), plan{step: rotate}},
		"tabs, without grace":                    {of(0, tabs, strict), plan{step: rotate}},
		"tabs, its key withdrawn":                {of(0, tabs, withdrawn), plan{step: rotate}},
		"tabs, another index":                    {of(0, tabs, func(f *facts) { f.moved = true }), plan{step: rotate}},
		"tabs, more than half of its life over":  {of(0, tabs, func(f *facts) { f.now = issued.Add(4 * time.Hour) }), plan{step: rotate}},
		"tabs, the first one":                    {of(0, tabs, func(f *facts) { f.token.Generation, f.grant.Refresh.Generation = 1, 1 }), plan{step: rotate}},
		"tabs, the one before":                   {of(1, tabs), plan{step: repeat}},
		"tabs, an older one":                     {of(2, tabs), refused(protocol.ReasonReused)},

		// A request that found its token current, and was then overtaken by another
		// request, is not theft, however long it took.
		"overtaken":                            {of(1, lost), plan{step: repeat}},
		"overtaken, long ago":                  {of(1, lost, late), plan{step: repeat}},
		"overtaken, the other's key withdrawn": {of(1, lost, withdrawn), plan{step: rotate}},
		"overtaken without grace":              {of(1, lost, strict), refused(protocol.ReasonOvertaken)},
		"overtaken twice":                      {of(2, lost), refused(protocol.ReasonOvertaken)},
		"not rotated, and nobody knows why":    {of(0, lost), refused(protocol.ReasonOvertaken)},
		"overtaken by a restored database":     {of(-1, lost), refused(protocol.ReasonOvertaken)},
	} {
		if got := planOf(c.facts); got != c.want {
			t.Errorf("%s: %v, want %v", what, got, c.want)
		}
	}
}
