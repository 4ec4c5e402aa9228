package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/sessions"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/config/limits"
)

// The batch limits of Purge: how many rows one statement may delete, and how many
// statements one call may run on each table.
const (
	largestBatch = 1000
	mostBatches  = 20
)

// Purge deletes what no check needs any more at now: rows that expired long enough ago
// (see keepExpired), and entries of the change sequence from before changesBefore. It
// keeps the last entry, because that tells a reader whether it has missed entries. It
// returns the number of deleted rows.
//
// It deletes at most batch rows (1 to 1000) in one transaction, so that nobody waits
// long for it, and stops after a number of batches, so that a great backlog is spread
// over several calls. Several instances may purge at the same time.
func (s *Store) Purge(ctx context.Context, now time.Time, batch int, changesBefore time.Time) (int, error) {
	batch = min(max(batch, 1), largestBatch)
	tokens, err := s.purge(ctx, "purge expired cuts", batch, func(tx *gorm.DB) (int64, error) {
		return s.purgeTokens(tx, ms(now.Add(-keepExpired["revoked_tokens"])), batch)
	})
	if err != nil {
		return tokens, err
	}
	for _, expired := range []struct{ table, key, where string }{
		{"codes", "hash", "expires_ms < ?"},
		{"guesses", "subject", "since_ms < ?"},
		{"grants", "id", "expires_ms < ?"},
		{"login_sessions", "id", "expires_ms < ?"},
		{"password_links", "hash", "expires_ms < ?"},
	} {
		before := now.Add(-keepExpired[expired.table])
		n, err := s.purge(ctx, "purge "+expired.table, batch, func(tx *gorm.DB) (int64, error) {
			return s.purgeExpired(tx, expired.table, expired.key, expired.where, ms(before), batch)
		})
		if tokens += n; err != nil {
			return tokens, err
		}
	}
	n, err := s.purgeStatus(ctx, now, batch)
	if tokens += n; err != nil {
		return tokens, err
	}
	entries, err := s.purge(ctx, "purge changes", batch, func(tx *gorm.DB) (int64, error) {
		return s.purgeChanges(tx, ms(changesBefore), batch)
	})
	return tokens + entries, err
}

// keepExpired is how long rows are kept after their expiry. A revoked token is kept until
// no verifier accepts it any more: the bits of the status lists follow from these rows,
// so that after a restart the thief of a token that has just expired would be let in by
// a verifier that allows for clocks that differ. A used code is kept to recognise its
// replay; a guess until its window has passed; a grant until its last token has expired,
// because the status list is made from it; a session for as long as its device is
// remembered, which is longer than any grant that was made in it. A link is good for
// nothing once it has expired.
var keepExpired = map[string]time.Duration{
	"revoked_tokens": limits.Afterlife, "codes": time.Hour, "guesses": limits.MaxSignInWindow, "grants": mayLive, "login_sessions": sessions.DeviceLife, "password_links": 0,
}

// purgeExpired deletes expired rows of a table in the way of purgeTokens.
func (s *Store) purgeExpired(tx *gorm.DB, table, key, where string, beforeMS int64, batch int) (int64, error) {
	var keys [][]byte
	err := s.reading(tx.Statement.Context).Table(table).Where(where, beforeMS).Order(key).Limit(batch).Pluck(key, &keys).Error
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	args := make([]any, len(keys))
	for i, k := range keys {
		if args[i] = k; key != "hash" {
			args[i] = string(k)
		}
	}
	deleted := tx.Exec("DELETE FROM "+table+" WHERE "+key+" IN ? AND "+where, args, beforeMS)
	return deleted.RowsAffected, deleted.Error
}

// purge runs batches until one of them is not full.
func (s *Store) purge(ctx context.Context, op string, batch int, one func(tx *gorm.DB) (int64, error)) (int, error) {
	total := 0
	for range mostBatches {
		var n int64
		err := s.apart(ctx, func(db *gorm.DB) (err error) {
			n, err = one(db)
			return err
		})
		total += int(n)
		if err != nil || n < int64(batch) {
			return total, fault(op, err)
		}
	}
	return total, nil
}

// purgeTokens first reads which rows to delete, then deletes them by their keys, in
// order. So it locks these rows and no gaps between them, and two instances that purge
// at the same time do not block each other.
func (s *Store) purgeTokens(tx *gorm.DB, beforeMS int64, batch int) (int64, error) {
	var expired []string
	err := s.reading(tx.Statement.Context).Model(&revokedTokenRow{}).
		Where("expires_ms < ?", beforeMS).Order("expires_ms, jti").Limit(batch).Pluck("jti", &expired).Error
	if err != nil || len(expired) == 0 {
		return 0, err
	}
	deleted := tx.Where("jti IN ? AND expires_ms < ?", expired, beforeMS).Delete(&revokedTokenRow{})
	return deleted.RowsAffected, deleted.Error
}

// purgeChanges looks only at the lowest numbers, which are the oldest entries, and so
// needs no index on their times.
func (s *Store) purgeChanges(tx *gorm.DB, beforeMS int64, batch int) (int64, error) {
	// Reading this beforehand is safe, because the number only grows.
	last, err := s.ChangeNumber(tx.Statement.Context)
	if err != nil {
		return 0, err
	}
	var oldest []changeRow
	err = s.reading(tx.Statement.Context).
		Where("number < ?", int64(last)).Order("number").Limit(batch).Find(&oldest).Error
	if err != nil {
		return 0, err
	}
	var numbers []int64
	for _, r := range oldest {
		// Stop here, to leave no gap: readers tell by the lowest number whether entries
		// are missing.
		if r.AtMS >= beforeMS {
			break
		}
		numbers = append(numbers, r.Number)
	}
	if len(numbers) == 0 {
		return 0, nil
	}
	deleted := tx.Where("number IN ?", numbers).Delete(&changeRow{})
	return deleted.RowsAffected, deleted.Error
}

// purgeStatus deletes the status lists whose last token has expired, with their blocks,
// and listeners that were not seen for an hour.
func (s *Store) purgeStatus(ctx context.Context, now time.Time, batch int) (total int, err error) {
	all, err := s.StatusLists(ctx)
	if err != nil {
		return 0, err
	}
	for _, l := range all {
		if gone := lists.Gone(l); gone.IsZero() || now.Before(gone) {
			continue
		}
		n, err := s.purge(ctx, "purge status blocks", batch, func(tx *gorm.DB) (int64, error) {
			var firsts []int64
			err := s.reading(ctx).Model(&statusBlockRow{}).Where("list = ?", l.Number).Order("first").Limit(batch).Pluck("first", &firsts).Error
			if err != nil || len(firsts) == 0 {
				return 0, err
			}
			deleted := tx.Where("list = ? AND first IN ?", l.Number, firsts).Delete(&statusBlockRow{})
			return deleted.RowsAffected, deleted.Error
		})
		if total += n; err != nil {
			return total, err
		}
		err = s.apart(ctx, func(db *gorm.DB) error {
			// A list stays while blocks of it are left for the next call.
			deleted := db.Exec("DELETE FROM status_lists WHERE number = ? AND NOT EXISTS (SELECT 1 FROM status_blocks WHERE list = ?)", l.Number, l.Number)
			total += int(deleted.RowsAffected)
			return deleted.Error
		})
		if err != nil {
			return total, fault("purge status lists", err)
		}
	}
	err = s.apart(ctx, func(db *gorm.DB) error {
		deleted := db.Where("seen_ms < "+s.dialect.now+" - ?", time.Hour.Milliseconds()).Delete(&listenerRow{})
		total += int(deleted.RowsAffected)
		return deleted.Error
	})
	return total, fault("purge listeners", err)
}
