package keys

import (
	"cmp"
	"context"
	"errors"
	"slices"
)

// Trial returns rings that have the same keys. Their changes stay in memory: they show what
// a change would do.
func (k *Keyring) Trial(ctx context.Context) (*Keyring, error) {
	records, err := k.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	tried := New(&trial{records}, k.master, k.policy, k.now)
	if err := tried.Reload(ctx); err != nil && !errors.Is(err, ErrMasterKey) {
		return nil, err // a key that is not opened can be withdrawn, too
	}
	return tried, nil
}

// trial is a Store in memory, for one goroutine: nobody is ever faster.
type trial struct{ records []Record }

// SigningKeys implements Store.
func (t *trial) SigningKeys(context.Context) ([]Record, error) { return slices.Clone(t.records), nil }

// ChangeKeys implements Store.
func (t *trial) ChangeKeys(_ context.Context, c Change) error {
	for i := range t.records {
		r := &t.records[i]
		if c.Withdraw && r.KID == c.KID {
			r.WithdrawnAt = c.At
		}
		for _, m := range c.Move {
			if r.KID == m.KID {
				r.SignsFrom = m.To
			}
		}
		if sealed, ok := c.Reseal[r.KID]; ok && r.Sealed != nil {
			r.Sealed = sealed
		}
		if slices.Contains(c.Destroy, r.KID) {
			r.Sealed = nil
		}
	}
	t.records = slices.DeleteFunc(t.records, func(r Record) bool { return slices.Contains(c.Delete, r.KID) })
	t.records = append(t.records, c.Insert...)
	slices.SortFunc(t.records, func(a, b Record) int {
		return cmp.Or(cmp.Compare(a.Ring, b.Ring), cmp.Compare(a.Ordinal, b.Ordinal))
	})
	return nil
}
