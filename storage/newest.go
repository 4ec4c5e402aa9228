package storage

import (
	"context"
	"iter"
	"slices"
)

// keysAtOnce and wholeAtOnce are how much a listing reads at once: keys to sort by,
// of which a million are sorted in a few goes, and rows, which are longer.
const (
	keysAtOnce  = 50_000
	wholeAtOnce = 500
)

// selection is what is listed, newest first, of a table that has id and created_ms.
type selection struct {
	// table stands in from, which may join others for the condition where.
	table, from, where string
	args               []any
	// limit is how many there are to be at most; zero is no bound.
	limit int
}

// newest reads what is selected, newest first, and holds a few of it at a time; read
// returns those with some ids, in the same order.
//
// No index has the order, for it would make each sign-in dearer; so the database sorts
// keys, and goes on after the last of them. And no statement stays open between: whoever
// reads the list may take an hour, and for as long what is deleted could not be cleaned
// up.
func newest[T any](ctx context.Context, s *Store, op string, of selection, read func(ids []string) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		id, created := of.table+".id", of.table+".created_ms"
		where, args := of.where, of.args
		for left := of.limit; ; {
			n := s.keysAtOnce
			if of.limit > 0 {
				n = min(n, left)
			}
			var keys []struct {
				ID        string `gorm:"column:id"`
				CreatedMS int64  `gorm:"column:created_ms"`
			}
			err := s.reading(ctx).Raw("SELECT "+id+", "+created+" FROM "+of.from+" WHERE "+where+
				" ORDER BY "+created+" DESC, "+id+" LIMIT ?", append(slices.Clone(args), n)...).Scan(&keys).Error
			for some := range slices.Chunk(keys, wholeAtOnce) {
				ids := make([]string, len(some))
				for i, k := range some {
					ids[i] = k.ID
				}
				rows, failed := read(ids)
				if failed != nil {
					err = failed
					break
				}
				for _, r := range rows {
					if !yield(r, nil) {
						return
					}
				}
			}
			if err != nil {
				var none T
				yield(none, fault(op, err))
				return
			}
			left -= len(keys)
			if len(keys) < n || of.limit > 0 && left == 0 {
				return
			}
			last := keys[len(keys)-1]
			where = of.where + " AND (" + created + " < ? OR " + created + " = ? AND " + id + " > ?)"
			args = append(slices.Clone(of.args), last.CreatedMS, last.CreatedMS, last.ID)
		}
	}
}
