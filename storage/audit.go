package storage

import (
	"context"
	"encoding/json"
	"errors"
	"iter"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
)

type auditRow struct {
	ID      int64  `gorm:"column:id;primaryKey;autoIncrement"`
	AtMS    int64  `gorm:"column:at_ms;not null"`
	Actor   string `gorm:"column:actor;not null"`
	Action  string `gorm:"column:action;not null"`
	Subject string `gorm:"column:subject;not null"`
	Reason  string `gorm:"column:reason;not null"`
	// Details is a JSON object.
	Details string `gorm:"column:details;not null"`
}

func (auditRow) TableName() string { return "audit_events" }

func newAuditRow(ev audit.Event) (auditRow, error) {
	details := ev.Details
	if details == nil {
		details = map[string]string{}
	}
	b, err := json.Marshal(details)
	return auditRow{
		AtMS:    ms(ev.At),
		Actor:   string(ev.Actor),
		Action:  string(ev.Action),
		Subject: ev.Subject,
		Reason:  ev.Reason,
		Details: string(b),
	}, err
}

func (r auditRow) event() (audit.Event, error) {
	ev := audit.Event{
		ID:      r.ID,
		At:      at(r.AtMS),
		Actor:   audit.Actor(r.Actor),
		Action:  audit.Action(r.Action),
		Subject: r.Subject,
		Reason:  r.Reason,
	}
	if err := json.Unmarshal([]byte(r.Details), &ev.Details); err != nil {
		return audit.Event{}, errors.New("the details of an audit event are not JSON")
	}
	if len(ev.Details) == 0 {
		ev.Details = nil
	}
	return ev, nil
}

// Record implements accounts.RefusalStore.
func (s *Store) Record(ctx context.Context, events []audit.Event) error {
	rows := make([]auditRow, len(events))
	for i, ev := range events {
		var err error
		if rows[i], err = newAuditRow(ev); err != nil {
			return err
		}
	}
	return answer("record events", "", s.transaction(ctx, func(tx *gorm.DB) error { return tx.CreateInBatches(&rows, rowsAtOnce).Error }))
}

// AuditEvents implements audit.Store.
func (s *Store) AuditEvents(ctx context.Context, q audit.Query) (events iter.Seq2[audit.Event, error], older bool, err error) {
	const op = "read the audit log"
	if !isText(string(q.Action)) || !isText(q.Subject) {
		return func(func(audit.Event, error) bool) {}, false, nil
	}
	matching := func() *gorm.DB {
		tx := s.reading(ctx)
		if q.Action != "" {
			tx = tx.Where("action = ?", string(q.Action))
		}
		if q.Subject != "" {
			tx = tx.Where("subject = ?", q.Subject)
		}
		if !q.Since.IsZero() {
			tx = tx.Where("at_ms >= ?", ms(q.Since))
		}
		return tx
	}
	// The newest that the limit leaves out.
	var before []auditRow
	if q.Limit > 0 {
		if err := matching().Select("id").Order("id DESC").Offset(q.Limit).Limit(1).Find(&before).Error; err != nil {
			return nil, false, fault(op, err)
		}
	}
	return func(yield func(audit.Event, error) bool) {
		last, n := int64(0), 0
		if len(before) > 0 {
			last = before[0].ID
		}
		for {
			var rows []auditRow
			if err := matching().Where("id > ?", last).Order("id").Limit(wholeAtOnce).Find(&rows).Error; err != nil {
				yield(audit.Event{}, fault(op, err))
				return
			}
			for _, r := range rows {
				ev, err := r.event()
				// Some may have come since the limit was laid out.
				if n++; !yield(ev, fault(op, err)) || err != nil || n == q.Limit {
					return
				}
			}
			if len(rows) < wholeAtOnce {
				return
			}
			last = rows[len(rows)-1].ID
		}
	}, len(before) > 0, nil
}
