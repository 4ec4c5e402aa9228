package storage

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
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

// Record implements signin.Store.
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
func (s *Store) AuditEvents(ctx context.Context, q audit.Query) (events iter.Seq2[audit.Named, error], older bool, err error) {
	const op = "read the audit log"
	for _, asked := range slices.Concat(q.Subjects, texts(q.Actors), []string{string(q.Action)}) {
		if !isText(asked) {
			return func(func(audit.Named, error) bool) {}, false, nil
		}
	}
	matching := func() *gorm.DB {
		tx := s.reading(ctx)
		if q.Action != "" {
			tx = tx.Where("action = ?", string(q.Action))
		}
		if len(q.Subjects) > 0 {
			tx = tx.Where("subject IN ?", q.Subjects)
		}
		if len(q.Actors) > 0 {
			tx = tx.Where("actor IN ?", texts(q.Actors))
		}
		if !q.Since.IsZero() {
			tx = tx.Where("at_ms >= ?", ms(q.Since))
		}
		return tx
	}
	// The newest event that the limit leaves out.
	var before []auditRow
	if q.Limit > 0 {
		if err := matching().Select("id").Order("id DESC").Offset(q.Limit).Limit(1).Find(&before).Error; err != nil {
			return nil, false, fault(op, err)
		}
	}
	return func(yield func(audit.Named, error) bool) {
		last, n := int64(0), 0
		if len(before) > 0 {
			last = before[0].ID
		}
		for {
			var rows []auditRow
			err := matching().Where("id > ?", last).Order("id").Limit(wholeAtOnce).Find(&rows).Error
			var some []audit.Named
			if err == nil {
				some, err = s.nameEvents(ctx, rows)
			}
			if err != nil {
				yield(audit.Named{}, fault(op, err))
				return
			}
			for _, ev := range some {
				// New events may have been stored since the limit was computed.
				if n++; !yield(ev, nil) || n == q.Limit {
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

// texts converts values of a string type to plain strings, which drivers accept.
func texts[T ~string](values []T) []string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// nameEvents converts rows to events, each with the present names of the users and
// clients that it mentions.
func (s *Store) nameEvents(ctx context.Context, rows []auditRow) ([]audit.Named, error) {
	events := make([]audit.Named, len(rows))
	users, clients := map[string]string{}, map[string]string{}
	// The function runs twice over the same rows: the first time it collects the ids
	// whose names have to be read.
	each := func() {
		for i := range events {
			ev := &events[i]
			name := func(of map[string]string, id string) string {
				of[id] += ""
				return of[id]
			}
			if id, ok := ev.Actor.User(); ok {
				ev.ActorName = name(users, id)
			} else if id, ok := ev.Actor.Client(); ok {
				ev.ActorName = name(clients, id)
			}
			switch user, client := ev.About(); {
			case user:
				ev.SubjectName = name(users, ev.Subject)
			case client:
				ev.SubjectName = name(clients, ev.Subject)
			}
			if id := ev.Details["user"]; id != "" {
				ev.UserName = name(users, id)
			}
		}
	}
	for i, r := range rows {
		var err error
		if events[i].Event, err = r.event(); err != nil {
			return nil, err
		}
	}
	each()
	for _, c := range []struct {
		of        map[string]string
		statement string
	}{{users, "SELECT id, username AS name FROM users WHERE id IN ?"}, {clients, "SELECT id, name FROM clients WHERE id IN ?"}} {
		if len(c.of) == 0 {
			continue
		}
		var found []struct {
			ID   string `gorm:"column:id"`
			Name string `gorm:"column:name"`
		}
		if err := s.reading(ctx).Raw(c.statement, slices.Collect(maps.Keys(c.of))).Scan(&found).Error; err != nil {
			return nil, err
		}
		for _, f := range found {
			c.of[f.ID] = f.Name
		}
	}
	each()
	return events, nil
}
