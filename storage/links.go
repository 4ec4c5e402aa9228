package storage

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

type linkRow struct {
	Hash        []byte `gorm:"column:hash;primaryKey"`
	UserID      string `gorm:"column:user_id;not null"`
	Kind        string `gorm:"column:kind;not null"`
	UserEpoch   int64  `gorm:"column:user_epoch;not null"`
	ServerEpoch int64  `gorm:"column:server_epoch;not null"`
	CreatedMS   int64  `gorm:"column:created_ms;not null"`
	ExpiresMS   int64  `gorm:"column:expires_ms;not null"`
}

func (linkRow) TableName() string { return "password_links" }

// AddLink implements accounts.Store.
func (s *Store) AddLink(ctx context.Context, l accounts.Link, hash [32]byte, allow accounts.Allow, ev audit.Event) error {
	const op = "add a link of user"
	if !isText(l.UserID) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	// It takes a number of the change sequence, so that changes of the user come before or
	// after it: allow is asked about the user that the link is for.
	return s.change(ctx, op, changes.User, l.UserID, ev, func(tx *gorm.DB, _ changes.Number) error {
		if err := allowedUser(tx, l.UserID, allow); err != nil {
			return err
		}
		if err := tx.Where("user_id = ? AND kind = ?", l.UserID, string(l.Kind)).Delete(&linkRow{}).Error; err != nil {
			return err
		}
		added := tx.Exec(`
			INSERT INTO password_links (hash, user_id, kind, user_epoch, server_epoch, created_ms, expires_ms)
			SELECT ?, u.id, ?, u.epoch, v.epoch, ?, ?
			  FROM users AS u, server AS v WHERE u.id = ? AND v.id = 1`,
			hash[:], string(l.Kind), ms(l.CreatedAt), ms(l.ExpiresAt), l.UserID)
		if added.Error == nil && added.RowsAffected == 0 {
			return refuse(accounts.ErrNotFound)
		}
		return added.Error
	})
}

// linkStands is the condition that a link k, of the user u on the server v, stands. Its
// parameters are the hash and the time.
const linkStands = `k.hash = ? AND k.expires_ms > ? AND u.disabled = FALSE AND k.user_epoch >= u.epoch AND k.server_epoch >= v.epoch`

// owningLinks are the tables of linkStands.
const owningLinks = `password_links AS k JOIN users AS u ON u.id = k.user_id JOIN server AS v ON v.id = 1`

// LinkOwner implements accounts.Store.
func (s *Store) LinkOwner(ctx context.Context, hash [32]byte, now time.Time) (accounts.User, accounts.LinkKind, error) {
	const op = "read a link"
	var rows []struct {
		User userRow `gorm:"embedded"`
		Kind string  `gorm:"column:kind"`
	}
	err := s.reading(ctx).Raw(`SELECT u.*, k.kind AS kind FROM `+owningLinks+` WHERE `+linkStands, hash[:], ms(now)).Scan(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(accounts.ErrNoLink)
	}
	if err != nil {
		return accounts.User{}, "", answer(op, "", err)
	}
	u, err := rows[0].User.user()
	return u, accounts.LinkKind(rows[0].Kind), fault(op, err)
}

// UseLink implements accounts.Store.
func (s *Store) UseLink(ctx context.Context, hash [32]byte, now time.Time, password string, ev audit.Event) error {
	const op = "use a link of user"
	return s.change(ctx, op, changes.User, ev.Subject, ev, func(tx *gorm.DB, n changes.Number) error {
		var owners []string
		err := tx.Raw(`SELECT u.id FROM `+owningLinks+` WHERE `+linkStands, hash[:], ms(now)).Scan(&owners).Error
		if err == nil && len(owners) == 0 {
			err = refuse(accounts.ErrNoLink)
		}
		if err != nil {
			return err
		}
		return setPassword(tx, owners[0], password, false, n).Error
	})
}

// setPassword replaces a password, and revokes everything that was issued for the user,
// links included: none stands whose epoch is below the user's. Their rows are no use.
func setPassword(tx *gorm.DB, user, hash string, mustChange bool, n changes.Number) *gorm.DB {
	if ended := endLinks(tx, user); ended.Error != nil {
		return ended
	}
	password, temporary := passwordColumns(hash, mustChange)
	return tx.Exec("UPDATE users SET password = ?, temporary_password = ?, epoch = ? WHERE id = ?", password, temporary, int64(n), user)
}

func endLinks(tx *gorm.DB, user string) *gorm.DB {
	return tx.Where("user_id = ?", user).Delete(&linkRow{})
}

// passwordColumns returns what is stored of a password. One that must be changed is not in
// the column that older versions know, so that they let nobody in by it.
func passwordColumns(hash string, mustChange bool) (password string, temporary *string) {
	if mustChange {
		return "", &hash
	}
	return hash, nil
}

// password returns the hash of a user's password, and whether it must be changed.
func (r userRow) password() (hash string, mustChange bool) {
	if r.Password == "" && r.TemporaryPassword != nil {
		return *r.TemporaryPassword, true
	}
	return r.Password, false
}
