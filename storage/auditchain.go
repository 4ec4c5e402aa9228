package storage

import (
	"context"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/audit/chain"
)

type headRow struct {
	Number int64  `gorm:"column:number;primaryKey;autoIncrement:false"`
	Digest []byte `gorm:"column:digest;not null"`
	// NewestMS is the latest time of the events since the head before.
	NewestMS int64  `gorm:"column:newest_ms;not null"`
	SignedMS int64  `gorm:"column:signed_ms;not null"`
	Anchor   bool   `gorm:"column:anchor;not null"`
	KID      string `gorm:"column:kid;not null"`
	Signed   string `gorm:"column:signed;not null"`
}

func (headRow) TableName() string { return "audit_heads" }

func (r headRow) head() chain.Head {
	return chain.Head{
		Number: r.Number, Digest: digestOf(r.Digest), At: at(r.SignedMS), Anchor: r.Anchor, KID: r.KID, Signed: r.Signed,
	}
}

// digestOf returns a digest as it is stored. One that somebody has made shorter or longer is
// no digest of anything.
func digestOf(b []byte) (d chain.Digest) {
	if len(b) == len(d) {
		copy(d[:], b)
	}
	return d
}

// leaseRow is the right to do something that one instance does for all.
type leaseRow struct {
	Name    string `gorm:"column:name;primaryKey"`
	Holder  string `gorm:"column:holder;not null"`
	Fence   int64  `gorm:"column:fence;not null"`
	UntilMS int64  `gorm:"column:until_ms;not null"`
}

func (leaseRow) TableName() string { return "leases" }

// auditLease is the name of the lease of the chain.
const auditLease = "audit"

// TakeLease implements chain.Store. A lease that ends later than one that is taken now does
// was taken before the clock of the database was set back.
func (s *Store) TakeLease(ctx context.Context, holder string) (l chain.Lease, held bool, err error) {
	const op = "take a lease"
	now, life := s.dialect.now, chain.LeaseTime.Milliseconds()
	err = s.statement(ctx, func(db *gorm.DB) error {
		_, err := exec(db, s.numbered(`
			UPDATE leases SET holder = ?, fence = fence + 1, until_ms = `+now+` + ?
			 WHERE name = ? AND (holder = ? OR until_ms < `+now+` OR until_ms > `+now+` + ?)`), holder, life, auditLease, holder, life)
		return err
	})
	if err != nil {
		return chain.Lease{}, false, fault(op, err)
	}
	var rows []leaseRow
	err = s.writing(ctx).Where("name = ? AND holder = ?", auditLease, holder).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return chain.Lease{}, false, fault(op, err)
	}
	return chain.Lease{Holder: holder, Fence: rows[0].Fence}, true, nil
}

// ReleaseLease implements chain.Store.
func (s *Store) ReleaseLease(ctx context.Context, l chain.Lease) error {
	return fault("release a lease", s.statement(ctx, func(db *gorm.DB) error {
		_, err := exec(db, s.numbered("UPDATE leases SET until_ms = 0 WHERE name = ? AND holder = ? AND fence = ?"), auditLease, l.Holder, l.Fence)
		return err
	}))
}

// numbered is the function of that name for the engine that needs it.
func (s *Store) numbered(statement string) string {
	if s.Engine() == PostgreSQL {
		return numbered(statement)
	}
	return statement
}

// Unchained implements chain.Store.
func (s *Store) Unchained(ctx context.Context, limit int) ([]audit.Event, error) {
	var rows []auditRow
	if err := s.reading(ctx).Where("number IS NULL").Order("id").Limit(limit).Find(&rows).Error; err != nil {
		return nil, fault("read what is not chained", err)
	}
	events := make([]audit.Event, len(rows))
	for i, r := range rows {
		var err error
		if events[i], err = r.event(); err != nil {
			return nil, err
		}
	}
	return events, nil
}

// CountUnchained implements chain.Store.
func (s *Store) CountUnchained(ctx context.Context) (n int64, err error) {
	err = s.reading(ctx).Model(&auditRow{}).Where("number IS NULL").Count(&n).Error
	return n, fault("count what is not chained", err)
}

// Tail implements chain.Store. The last event and the last head are of one transaction. If
// somebody has removed one of them, the chain goes on after the other: a number is never
// given out twice.
func (s *Store) Tail(ctx context.Context) (chain.Mark, error) {
	var rows []auditRow
	err := s.reading(ctx).Select("number", "digest").Where("number IS NOT NULL").Order("number DESC").Limit(1).Find(&rows).Error
	if err != nil {
		return chain.Mark{}, fault("read the end of the audit log", err)
	}
	head, err := s.LastHead(ctx)
	tail := chain.Mark{Number: head.Number, Digest: head.Digest}
	if len(rows) > 0 && *rows[0].Number > tail.Number {
		tail = chain.Mark{Number: *rows[0].Number, Digest: digestOf(rows[0].Digest)}
	}
	return tail, err
}

// Extend implements chain.Store.
func (s *Store) Extend(ctx context.Context, l chain.Lease, links []chain.Link, newest time.Time, h chain.Head) error {
	return answer("chain the audit log", "", s.transaction(ctx, func(tx *gorm.DB) error {
		// This comes first: it locks the row, so that whoever wants the lease waits.
		used := tx.Exec("UPDATE leases SET fence = fence + 1, until_ms = "+s.dialect.now+" + ? WHERE name = ? AND holder = ? AND fence = ?",
			chain.LeaseTime.Milliseconds(), auditLease, l.Holder, l.Fence)
		if used.Error != nil {
			return used.Error
		}
		if used.RowsAffected != 1 {
			return refuse(chain.ErrLost)
		}
		for len(links) > 0 {
			some := links[:min(rowsAtOnce, len(links))]
			if err := number(tx, some); err != nil {
				return err
			}
			links = links[len(some):]
		}
		return tx.Create(&headRow{
			Number: h.Number, Digest: h.Digest[:], NewestMS: ms(newest), SignedMS: ms(h.At), Anchor: h.Anchor, KID: h.KID, Signed: h.Signed,
		}).Error
	}))
}

// number writes numbers and digests of events with one statement.
func number(tx *gorm.DB, links []chain.Link) error {
	whens, ids := strings.Repeat(" WHEN ? THEN ?", len(links)), make([]any, len(links))
	args := make([]any, 0, 4*len(links)+1)
	for _, l := range links {
		args = append(args, l.Event.ID, l.Number)
	}
	for i, l := range links {
		args, ids[i] = append(args, l.Event.ID, l.Digest[:]), l.Event.ID
	}
	set := tx.Exec("UPDATE audit_events SET number = CASE id"+whens+" ELSE number END, digest = CASE id"+whens+" ELSE digest END WHERE id IN ? AND number IS NULL", append(args, ids)...)
	if set.Error == nil && set.RowsAffected != int64(len(links)) {
		return refuse(chain.ErrLost)
	}
	return set.Error
}

// Links implements chain.Store.
func (s *Store) Links(ctx context.Context, after, through int64, limit int) ([]chain.Link, error) {
	const op = "read the chain of the audit log"
	var rows []auditRow
	err := s.reading(ctx).Where("number > ? AND number <= ?", after, through).Order("number").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fault(op, err)
	}
	links := make([]chain.Link, len(rows))
	for i, r := range rows {
		ev, err := r.event()
		if err != nil {
			// Somebody has edited it: no event has this digest.
			ev = audit.Event{ID: r.ID}
		}
		links[i] = chain.Link{Number: *r.Number, Event: ev, Digest: digestOf(r.Digest)}
	}
	return links, nil
}

// Heads implements chain.Store.
func (s *Store) Heads(ctx context.Context, after, through int64, limit int) ([]chain.Head, error) {
	return s.heads(s.reading(ctx).Where("number > ? AND number <= ?", after, through).Order("number").Limit(limit))
}

// Anchors implements chain.Store.
func (s *Store) Anchors(ctx context.Context) ([]chain.Head, error) {
	// An anchor is among the first heads: those below it are purged.
	lowest, err := s.heads(s.reading(ctx).Order("number").Limit(largestBatch))
	var anchors []chain.Head
	for _, h := range lowest {
		if h.Anchor {
			anchors = append([]chain.Head{h}, anchors...)
		}
	}
	return anchors, err
}

// LastHead implements chain.Store.
func (s *Store) LastHead(ctx context.Context) (chain.Head, error) {
	return first(s.heads(s.reading(ctx).Order("number DESC").Limit(1)))
}

// HeadBefore implements chain.Store. The first heads are the oldest, so no index on their
// times is needed.
func (s *Store) HeadBefore(ctx context.Context, before time.Time, most int64) (chain.Head, error) {
	young, err := first(s.heads(s.reading(ctx).Where("newest_ms >= ?", ms(before)).Order("number").Limit(1)))
	if err != nil {
		return chain.Head{}, err
	}
	old := s.reading(ctx).Where("number <= ?", most).Order("number DESC").Limit(1)
	if young.Number != 0 {
		old = old.Where("number < ?", young.Number)
	}
	return first(s.heads(old))
}

func (s *Store) heads(of *gorm.DB) ([]chain.Head, error) {
	var rows []headRow
	if err := of.Find(&rows).Error; err != nil {
		return nil, fault("read the heads of the audit log", err)
	}
	heads := make([]chain.Head, len(rows))
	for i, r := range rows {
		heads[i] = r.head()
	}
	return heads, nil
}

func first(heads []chain.Head, err error) (chain.Head, error) {
	if err != nil || len(heads) == 0 {
		return chain.Head{}, err
	}
	return heads[0], nil
}

// SetAnchor implements chain.Store.
func (s *Store) SetAnchor(ctx context.Context, a chain.Head) error {
	return fault("set an anchor of the audit log", s.statement(ctx, func(db *gorm.DB) error {
		return db.Model(&headRow{}).Where("number = ?", a.Number).Updates(map[string]any{
			"anchor": true, "signed_ms": ms(a.At), "kid": a.KID, "signed": a.Signed,
		}).Error
	}))
}

// PurgeLinks implements chain.Store.
func (s *Store) PurgeLinks(ctx context.Context, anchor int64, batch int) (int, error) {
	batch = min(max(batch, 1), largestBatch)
	const op = "purge the audit log"
	n, err := s.purge(ctx, op, batch, func(tx *gorm.DB) (int64, error) {
		return s.purgeNumbers(tx, &auditRow{}, "number <= ?", anchor, batch)
	})
	if err != nil {
		return n, err
	}
	_, err = s.purge(ctx, op, batch, func(tx *gorm.DB) (int64, error) {
		return s.purgeNumbers(tx, &headRow{}, "number < ?", anchor, batch)
	})
	return n, err
}

// purgeNumbers deletes the rows with the lowest numbers, in the way of purgeTokens.
func (s *Store) purgeNumbers(tx *gorm.DB, of any, where string, limit int64, batch int) (int64, error) {
	var numbers []int64
	err := s.reading(tx.Statement.Context).Model(of).Where(where, limit).Order("number").Limit(batch).Pluck("number", &numbers).Error
	if err != nil || len(numbers) == 0 {
		return 0, err
	}
	deleted := tx.Where("number IN ?", numbers).Delete(of)
	return deleted.RowsAffected, deleted.Error
}
