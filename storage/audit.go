package storage

import (
	"context"
	"encoding/json"
	"errors"
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
	// Number and Digest are the event's place in the chain; NULL until it is chained.
	Number *int64 `gorm:"column:number"`
	Digest []byte `gorm:"column:digest"`
}

func (auditRow) TableName() string { return "audit_events" }

// newAuditRow returns the row of an event, which says where the change in ctx came from.
func newAuditRow(ctx context.Context, ev audit.Event) (auditRow, error) {
	ev = ev.From(audit.OriginOf(ctx))
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
		if rows[i], err = newAuditRow(ctx, ev); err != nil {
			return err
		}
	}
	return answer("record events", "", s.transaction(ctx, func(tx *gorm.DB) error { return tx.CreateInBatches(&rows, rowsAtOnce).Error }))
}

// eventsLookedAt is how many events one part of the audit log comes from at most.
const eventsLookedAt = 5000

// AuditPart implements audit.Store.
func (s *Store) AuditPart(ctx context.Context, q audit.Query, most int) (audit.Part, error) {
	const op = "read the audit log"
	for _, asked := range slices.Concat(q.Subjects, texts(q.Actors), []string{string(q.Action)}) {
		if !isText(asked) {
			return audit.Part{}, nil
		}
	}
	var end int64
	if sifts(q) {
		// How many events do not match is not known, so it is limited how many are read.
		var last []auditRow
		if err := s.eventsOf(ctx, q).Select("id").Offset(eventsLookedAt - 1).Limit(1).Find(&last).Error; err != nil {
			return audit.Part{}, fault(op, err)
		}
		if len(last) > 0 {
			end = last[0].ID
		}
	}
	tx := s.eventsOf(ctx, q)
	switch {
	case end != 0 && q.NewestFirst:
		tx = tx.Where("id >= ?", end)
	case end != 0:
		tx = tx.Where("id <= ?", end)
	}
	var rows []auditRow
	if err := sifted(tx, q).Limit(most + 1).Find(&rows).Error; err != nil {
		return audit.Part{}, fault(op, err)
	}
	part := audit.Part{More: end != 0, Last: end}
	if len(rows) > most {
		rows = rows[:most]
		part.More, part.Last = true, rows[most-1].ID
	}
	var err error
	part.Events, err = s.nameEvents(ctx, rows)
	return part, fault(op, err)
}

// eventsOf selects events in the order of a query by what there is an index on.
func (s *Store) eventsOf(ctx context.Context, q audit.Query) *gorm.DB {
	tx := s.reading(ctx)
	switch {
	case len(q.Subjects) > 0:
		tx = tx.Where("subject IN ?", q.Subjects)
	case q.Action != "":
		tx = tx.Where("action = ?", string(q.Action))
	}
	if q.After != 0 {
		tx = tx.Where("id > ?", q.After)
	}
	if q.Before != 0 {
		tx = tx.Where("id < ?", q.Before)
	}
	if q.NewestFirst {
		return tx.Order("id DESC")
	}
	return tx.Order("id")
}

// sifts reports whether a query has conditions that no index answers.
func sifts(q audit.Query) bool {
	return len(q.Subjects) > 0 && q.Action != "" || len(q.Actors) > 0 || !q.Since.IsZero() || !q.Until.IsZero()
}

// sifted adds these conditions.
func sifted(tx *gorm.DB, q audit.Query) *gorm.DB {
	if len(q.Subjects) > 0 && q.Action != "" {
		tx = tx.Where("action = ?", string(q.Action))
	}
	if len(q.Actors) > 0 {
		tx = tx.Where("actor IN ?", texts(q.Actors))
	}
	if !q.Since.IsZero() {
		tx = tx.Where("at_ms >= ?", ms(q.Since))
	}
	if !q.Until.IsZero() {
		tx = tx.Where("at_ms < ?", ms(q.Until))
	}
	return tx
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
