package administration

import (
	"context"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/keys"
)

// Count is how many records of a kind there are, and how many of them are disabled. If
// there are More, not all were counted.
type Count struct {
	N, Disabled int
	More        bool
}

// Counts is how many records there are. Sessions and grants count while they stand.
type Counts struct{ Clients, APIs, Users, Sessions, Grants Count }

// OverviewStore is what an overview is made from.
type OverviewStore interface {
	// Schema returns the version of the database's schema.
	Schema(ctx context.Context) (int64, error)
	// ChangeNumber returns the number of the last change.
	ChangeNumber(ctx context.Context) (changes.Number, error)
	// Counts counts what there is at now. It looks at a bounded number of records.
	Counts(ctx context.Context, now time.Time) (Counts, error)
	// AuditMoments returns when an action was done since a time, the newest first. It
	// returns at most that many, and whether there may be more.
	AuditMoments(ctx context.Context, of audit.Action, since time.Time, most int) (moments []audit.Moment, more bool, err error)
}

// Overview is what an administrator sees at first.
type Overview struct {
	Schema int64
	Change changes.Number
	Counts
	// Day is the last 24 hours by the hour, and Week the last 7 days by the day. Both end
	// with the present hour.
	Day, Week Lately
	Rings     []Succession
}

// Lately is how often something happened, in spans of the same length. The first one begins
// at From.
type Lately struct {
	From                  time.Time
	Span                  time.Duration
	Cuts, Refused, Reuses []int
	// CompleteFrom is from when on everything was counted; zero if that is From.
	CompleteFrom time.Time
}

// Succession is the key of a ring that signs, and the one that is to follow. Each is the
// zero Status if there is none.
type Succession struct {
	Ring        keys.Ring
	Signs, Next keys.Status
}

// Overviews makes overviews.
type Overviews struct {
	store OverviewStore
	keys  *Keys
	now   func() time.Time
}

// NewOverviews returns what makes overviews.
func NewOverviews(store OverviewStore, keys *Keys, now func() time.Time) *Overviews {
	return &Overviews{store, keys, now}
}

// Make returns the overview of this moment.
func (o *Overviews) Make(ctx context.Context) (v Overview, err error) {
	now := o.now()
	if v.Schema, err = o.store.Schema(ctx); err != nil {
		return v, err
	}
	if v.Change, err = o.store.ChangeNumber(ctx); err != nil {
		return v, err
	}
	if v.Counts, err = o.store.Counts(ctx, now); err != nil {
		return v, err
	}
	if v.Rings, err = o.successions(ctx); err != nil {
		return v, err
	}
	end := now.UTC().Truncate(time.Hour).Add(time.Hour)
	v.Day, v.Week = newLately(end, time.Hour, 24), newLately(end, 24*time.Hour, 7)
	return v, o.count(ctx, &v.Day, &v.Week)
}

func newLately(end time.Time, span time.Duration, n int) Lately {
	return Lately{From: end.Add(-span * time.Duration(n)), Span: span, Cuts: make([]int, n), Refused: make([]int, n), Reuses: make([]int, n)}
}

// momentsRead is how many events of an action are counted at most.
const momentsRead = 10_000

// count counts events of the audit log. The second of both has all of the first.
func (o *Overviews) count(ctx context.Context, day, week *Lately) error {
	for _, of := range []struct {
		actions []audit.Action
		in      func(*Lately) []int
	}{
		{audit.Cuts, func(l *Lately) []int { return l.Cuts }},
		{[]audit.Action{audit.SignInRefused}, func(l *Lately) []int { return l.Refused }},
		{[]audit.Action{audit.GrantReused, audit.CodeReused}, func(l *Lately) []int { return l.Reuses }},
	} {
		for _, action := range of.actions {
			moments, more, err := o.store.AuditMoments(ctx, action, week.From, momentsRead)
			if err != nil {
				return err
			}
			for _, l := range []*Lately{day, week} {
				spans := of.in(l)
				for _, m := range moments {
					if at := int(m.At.Sub(l.From) / l.Span); !m.At.Before(l.From) && at < len(spans) {
						spans[at] += m.Times
					}
				}
				if last := len(moments) - 1; more && last >= 0 && moments[last].At.After(l.From) && moments[last].At.After(l.CompleteFrom) {
					l.CompleteFrom = moments[last].At
				}
			}
		}
	}
	return nil
}

// successions returns who signs in each ring, and who is to follow.
func (o *Overviews) successions(ctx context.Context) (all []Succession, err error) {
	list, err := o.keys.List(ctx)
	for _, k := range list {
		if n := len(all); n == 0 || all[n-1].Ring != k.Ring {
			all = append(all, Succession{Ring: k.Ring})
		}
		switch s := &all[len(all)-1]; {
		case k.State == keys.Active:
			s.Signs = k
		case k.State == keys.Published && s.Next.KID == "":
			s.Next = k
		}
	}
	return all, err
}
