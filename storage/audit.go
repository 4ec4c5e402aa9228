package storage

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

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
func (s *Store) AuditEvents(ctx context.Context, q audit.Query) ([]audit.Event, error) {
	const op = "read the audit log"
	if !isText(string(q.Action)) || !isText(q.Subject) {
		return nil, nil
	}
	if q.Limit <= 0 {
		q.Limit = 1000
	}
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
	var rows []auditRow
	if err := tx.Order("id DESC").Limit(q.Limit).Find(&rows).Error; err != nil {
		return nil, fault(op, err)
	}
	slices.Reverse(rows)
	events := make([]audit.Event, len(rows))
	for i, r := range rows {
		var err error
		if events[i], err = r.event(); err != nil {
			return nil, fault(op, err)
		}
	}
	return events, nil
}
