package storage

import (
	"context"
	"iter"
	"slices"
)

// keysAtOnce and wholeAtOnce bound how much a listing reads at a time: sort keys, of
// which a million take only a few reads, and whole rows, which are longer.
const (
	keysAtOnce  = 50_000
	wholeAtOnce = 500
)

// selection describes what is listed, newest first, from a table that has the columns
// id and created_ms.
type selection struct {
	// table is the table that is listed. It is part of from, which may join other
	// tables for the condition where.
	table, from, where string
	args               []any
	// limit is the greatest number of results; zero means no limit.
	limit int
	// after is the record after which the list begins; nil for the whole list.
	after *sortKey
}

// sortKey is what the records of a selection are ordered by.
type sortKey struct {
	ID        string `gorm:"column:id"`
	CreatedMS int64  `gorm:"column:created_ms"`
}

// newest lists a selection, newest first, and keeps only a bounded part of it in
// memory. read returns the records with the given ids, in the same order.
//
// No index has this order, because it would make each sign-in slower. So the database
// sorts the keys, a batch at a time, each batch starting after the last key of the one
// before. No statement stays open in between: whoever reads the list may take an hour,
// and an open statement would keep the database from cleaning up deleted rows for as
// long.
func newest[T any](ctx context.Context, s *Store, op string, of selection, read func(ids []string) ([]T, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		id, created := of.table+".id", of.table+".created_ms"
		last := of.after
		for left := of.limit; ; {
			where, args := of.where, slices.Clone(of.args)
			if last != nil {
				// The first condition is in the second, too. By it an engine finds the place in
				// an index.
				where += " AND " + created + " <= ? AND (" + created + " < ? OR " + id + " > ?)"
				args = append(args, last.CreatedMS, last.CreatedMS, last.ID)
			}
			n := s.keysAtOnce
			if of.limit > 0 {
				n = min(n, left)
			}
			var keys []sortKey
			err := s.reading(ctx).Raw("SELECT "+id+", "+created+" FROM "+of.from+" WHERE "+where+
				" ORDER BY "+created+" DESC, "+id+" LIMIT ?", append(args, n)...).Scan(&keys).Error
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
			last = &keys[len(keys)-1]
		}
	}
}
