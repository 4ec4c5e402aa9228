package storage

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status/listeners"
)

type listenerRow struct {
	ClientID string `gorm:"column:client_id;primaryKey"`
	// Name is the listener's name, a slash, and what distinguishes listeners of that
	// name: the instance or, without one, the id. Older servers write the name alone
	// and keep one row for it.
	Name        string `gorm:"column:name;primaryKey"`
	ID          string `gorm:"column:id;not null"`
	ConnectedMS int64  `gorm:"column:connected_ms;not null"`
	SeenMS      int64  `gorm:"column:seen_ms;not null"`
	Acked       int64  `gorm:"column:acked;not null"`
}

func (listenerRow) TableName() string { return "status_listeners" }

// nameOf returns the form in which a listener's name is stored; listener is its
// inverse.
func nameOf(l listeners.Listener) string { return l.Name + "/" + cmp.Or(l.Instance, l.ID) }

func (r listenerRow) listener() listeners.Listener {
	name, instance, _ := strings.Cut(r.Name, "/")
	if instance == r.ID {
		instance = ""
	}
	return listeners.Listener{
		ID: r.ID, ClientID: r.ClientID, Name: name, Instance: instance,
		ConnectedAt: at(r.ConnectedMS), SeenAt: at(r.SeenMS), Acknowledged: changes.Number(r.Acked),
	}
}

// SaveListener implements listeners.Store.
func (s *Store) SaveListener(ctx context.Context, l listeners.Listener, resumes bool) error {
	return answer("save a listener", "", s.transaction(ctx, func(tx *gorm.DB) error {
		var others []struct {
			Row    listenerRow `gorm:"embedded"`
			Unseen bool        `gorm:"column:unseen"`
		}
		err := tx.Raw("SELECT l.*, l.seen_ms <= "+s.dialect.now+" - ? AS unseen FROM status_listeners AS l WHERE l.client_id = ? ORDER BY l.acked DESC, l.connected_ms, l.id",
			listeners.Unseen.Milliseconds(), l.ClientID).Scan(&others).Error
		if err != nil {
			return err
		}
		name := nameOf(l)
		// Declared inside the function, so that a retry of the transaction starts anew.
		stay, leave, replaced := 0, []string(nil), false
		for _, o := range others {
			former := o.Row.listener()
			switch {
			case o.Row.Name == name:
				return tx.Exec("UPDATE status_listeners SET id = ?, connected_ms = "+s.dialect.now+", seen_ms = "+s.dialect.now+", acked = ? WHERE client_id = ? AND name = ?",
					l.ID, int64(l.Acknowledged), l.ClientID, name).Error
			case o.Unseen:
				leave = append(leave, former.ID)
			case resumes && !replaced && l.Instance == "" && former.Instance == "" && former.Name == l.Name:
				leave, replaced = append(leave, former.ID), true // the new listener replaces one row only
			default:
				stay++
			}
		}
		if stay >= listeners.Most {
			return refuse(listeners.ErrTooMany)
		}
		if len(leave) > 0 {
			if err := tx.Where("id IN ?", leave).Delete(&listenerRow{}).Error; err != nil {
				return err
			}
		}
		err = tx.Exec("INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) VALUES (?, ?, ?, "+s.dialect.now+", "+s.dialect.now+", ?)",
			l.ClientID, name, l.ID, int64(l.Acknowledged)).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return errAgain
		}
		return err
	}))
}

// ResetListener implements listeners.Store.
func (s *Store) ResetListener(ctx context.Context, id string) error {
	return s.ofListener(ctx, "reset a listener", "UPDATE status_listeners SET acked = 0, seen_ms = "+s.dialect.now+" WHERE id = ?", []any{id}, "id = ?", id)
}

// RemoveListener implements listeners.Store.
func (s *Store) RemoveListener(ctx context.Context, id, client string) error {
	const op = "remove a listener"
	if !isText(id) || !isText(client) {
		return answer(op, "", refuse(listeners.ErrNotFound))
	}
	var removed *gorm.DB
	err := s.statement(ctx, func(db *gorm.DB) error {
		removed = db.Where("id = ? AND client_id = ?", id, client).Delete(&listenerRow{})
		return removed.Error
	})
	if err == nil && removed.RowsAffected == 0 {
		err = refuse(listeners.ErrNotFound)
	}
	return answer(op, "", err)
}

// SeeListeners implements listeners.Store.
func (s *Store) SeeListeners(ctx context.Context, ids []string) (gone []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	const op = "see listeners"
	err = s.statement(ctx, func(db *gorm.DB) error {
		return db.Exec("UPDATE status_listeners SET seen_ms = "+s.dialect.now+" WHERE id IN ?", ids).Error
	})
	if err != nil {
		return nil, fault(op, err)
	}
	var found []string
	if err := s.writing(ctx).Model(&listenerRow{}).Where("id IN ?", ids).Pluck("id", &found).Error; err != nil {
		return nil, fault(op, err)
	}
	known := make(map[string]bool, len(found))
	for _, id := range found {
		known[id] = true
	}
	for _, id := range ids {
		if !known[id] {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// Acknowledge implements listeners.Store.
func (s *Store) Acknowledge(ctx context.Context, id, client string, n changes.Number) error {
	const op = "acknowledge"
	if !isText(id) || !isText(client) || n < 0 {
		return answer(op, "", refuse(listeners.ErrNotFound))
	}
	return s.ofListener(ctx, op, `
		UPDATE status_listeners SET acked = CASE WHEN acked < ? THEN ? ELSE acked END, seen_ms = `+s.dialect.now+`
		 WHERE id = ? AND client_id = ?`, []any{int64(n), int64(n), id, client}, "id = ? AND client_id = ?", id, client)
}

// ofListener updates the listener that where finds.
func (s *Store) ofListener(ctx context.Context, op, update string, args []any, where string, which ...any) error {
	var set *gorm.DB
	err := s.statement(ctx, func(db *gorm.DB) error {
		set = db.Exec(update, args...)
		return set.Error
	})
	if err != nil || set.RowsAffected == 1 {
		return answer(op, "", err)
	}
	// MySQL does not count a row that already had the new values as affected.
	var found int64
	err = s.writing(ctx).Model(&listenerRow{}).Where(where, which...).Count(&found).Error
	if err == nil && found == 0 {
		err = refuse(listeners.ErrNotFound)
	}
	return answer(op, "", err)
}

// Listeners implements listeners.Acknowledged.
func (s *Store) Listeners(ctx context.Context, within time.Duration) ([]listeners.Listener, error) {
	var rows []listenerRow
	err := s.reading(ctx).Where("seen_ms > "+s.dialect.now+" - ?", within.Milliseconds()).Order("client_id, name").Find(&rows).Error
	if err != nil {
		return nil, fault("list listeners", err)
	}
	all := make([]listeners.Listener, len(rows))
	for i, r := range rows {
		all[i] = r.listener()
	}
	return all, nil
}
