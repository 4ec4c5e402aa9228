package storage

import (
	"context"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/sessions"
)

// EndSession implements sessions.Store.
func (s *Store) EndSession(ctx context.Context, user, id string, ev audit.Event) error {
	const op = "end a login session"
	if !isText(user) || !isText(id) {
		return answer(op, "", refuse(sessions.ErrNotFound))
	}
	return s.change(ctx, op, changes.Session, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		ended := tx.Exec("UPDATE login_sessions SET ended_ms = ? WHERE id = ? AND user_id = ? AND ended_ms IS NULL", ms(ev.At), id, user)
		if ended.Error == nil && ended.RowsAffected == 0 {
			return refuse(sessions.ErrNotFound)
		}
		return ended.Error
	})
}

// EndSessions implements sessions.Store.
func (s *Store) EndSessions(ctx context.Context, user, keep string, ev audit.Event) (int, error) {
	const op = "end all login sessions"
	if !isText(user) || !isText(keep) {
		return 0, answer(op, "", refuse(sessions.ErrNotFound))
	}
	var stood int
	err := s.editAll(ctx, changes.Session, func(tx *gorm.DB, _ changes.Number) ([]edited, error) {
		stood = 0
		// Nobody else ends sessions meanwhile, because that needs a change number,
		// whose row is locked.
		found, err := toEnd(tx, user, ev.At)
		if err != nil {
			return nil, err
		}
		kept := keep == ""
		var all []edited
		var ids []string
		for _, l := range found {
			if l.ID == keep {
				kept = l.Stands
				continue
			}
			if l.Stands {
				stood++
			}
			ev.Subject = l.ID
			ids, all = append(ids, l.ID), append(all, edited{l.ID, ev})
		}
		if !kept {
			return nil, refuse(sessions.ErrNotFound)
		}
		if len(ids) == 0 {
			return nil, errUnchanged
		}
		return all, end(tx, ids, ev.At)
	})
	if err != nil {
		return 0, answer(op, "", err)
	}
	return stood, nil
}

// endable is a session that ends when all sessions of its user are ended.
type endable struct {
	ID     string `gorm:"column:id"`
	Stands bool   `gorm:"column:stands"`
}

// toEnd returns the sessions of a user that have not been ended and that either stand
// or have grants which end with them, the oldest first.
func toEnd(tx *gorm.DB, user string, now time.Time) (found []endable, err error) {
	err = tx.Raw(`
		SELECT l.id, CASE WHEN `+sessionStands+` THEN TRUE ELSE FALSE END AS stands
		  FROM `+sessionsWithOwners+`
		 WHERE l.user_id = ? AND l.ended_ms IS NULL
		   AND (`+sessionStands+` OR EXISTS (
		       SELECT 1 FROM grants AS g WHERE g.session_id = l.id AND g.offline = FALSE AND g.expires_ms > ? AND `+grantStands+`))
		 ORDER BY l.created_ms, l.id`, ms(now), ms(now), user, ms(now), ms(now), ms(now)).Scan(&found).Error
	return found, err
}

// end ends sessions, a batch at a time.
func end(tx *gorm.DB, ids []string, now time.Time) error {
	for some := range slices.Chunk(ids, rowsAtOnce) {
		ended := tx.Exec("UPDATE login_sessions SET ended_ms = ? WHERE id IN ? AND ended_ms IS NULL", ms(now), some)
		if ended.Error != nil {
			return ended.Error
		}
		if ended.RowsAffected != int64(len(some)) {
			return errAgain
		}
	}
	return nil
}
