package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

type userRow struct {
	ID       string `gorm:"column:id;primaryKey"`
	Username string `gorm:"column:username;not null"`
	Email    string `gorm:"column:email;not null"`
	// Roles is a JSON list, Claims a JSON object.
	Roles     string `gorm:"column:roles;not null"`
	Claims    string `gorm:"column:claims;not null"`
	Password  string `gorm:"column:password;not null"`
	Disabled  bool   `gorm:"column:disabled;not null"`
	Epoch     int64  `gorm:"column:epoch;not null"`
	CreatedMS int64  `gorm:"column:created_ms;not null"`
	// EmailVerified is NULL if nobody has said whether it is.
	EmailVerified *bool `gorm:"column:email_verified"`
	// EmailForm is accounts.EmailForm of the address; NULL if there is no address. In
	// rows written by a version without this column it is missing or belongs to the
	// previous address; RenewEmailForms corrects that.
	EmailForm *string `gorm:"column:email_form"`
}

func (userRow) TableName() string { return "users" }

func newUserRow(u accounts.User) (userRow, error) {
	roles, err := list(u.Roles)
	if err != nil {
		return userRow{}, err
	}
	claims, err := accounts.WriteClaims(u.Claims)
	return userRow{
		ID: u.ID, Username: u.Username, Email: u.Email, Roles: roles, Claims: string(claims),
		Password: u.Password, Disabled: u.Disabled, CreatedMS: ms(u.CreatedAt), EmailVerified: u.EmailVerified,
		EmailForm: emailForm(u.Email),
	}, err
}

func (r userRow) user() (accounts.User, error) {
	roles, err := unlist(r.Roles)
	if err != nil {
		return accounts.User{}, err
	}
	var claims accounts.Claims
	if err := json.Unmarshal([]byte(r.Claims), &claims); err != nil {
		return accounts.User{}, errors.New("the claims of a user are not JSON")
	}
	if len(claims) == 0 {
		claims = nil
	}
	return accounts.User{
		ID: r.ID, Username: r.Username, Email: r.Email, Roles: roles, Claims: claims,
		Password: r.Password, Disabled: r.Disabled, EmailVerified: r.EmailVerified, Epoch: changes.Number(r.Epoch), CreatedAt: at(r.CreatedMS),
	}, nil
}

// User implements accounts.Store.
func (s *Store) User(ctx context.Context, id string) (accounts.User, error) {
	return s.user(ctx, "id", id)
}

// UserByName implements accounts.Store.
func (s *Store) UserByName(ctx context.Context, username string) (accounts.User, error) {
	return s.user(ctx, "username", username)
}

func (s *Store) user(ctx context.Context, column, value string) (accounts.User, error) {
	const op = "read user"
	if !isText(value) {
		return accounts.User{}, answer(op, "", refuse(accounts.ErrNotFound))
	}
	var rows []userRow
	err := s.reading(ctx).Where(column+" = ?", value).Limit(1).Find(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(accounts.ErrNotFound)
	}
	if err != nil {
		return accounts.User{}, answer(op, "", err)
	}
	u, err := rows[0].user()
	return u, fault(op, err)
}

// Users implements accounts.Store.
func (s *Store) Users(ctx context.Context) ([]accounts.User, error) {
	const op = "list users"
	var rows []userRow
	if err := s.reading(ctx).Order("username").Find(&rows).Error; err != nil {
		return nil, fault(op, err)
	}
	return users(op, rows)
}

func users(op string, rows []userRow) ([]accounts.User, error) {
	all := make([]accounts.User, len(rows))
	for i, r := range rows {
		var err error
		if all[i], err = r.user(); err != nil {
			return nil, fault(op, err)
		}
	}
	return all, nil
}

// CreateUser implements accounts.Store. A user with bytes that not every
// engine can store is accounts.ErrInvalid.
func (s *Store) CreateUser(ctx context.Context, u accounts.User, ev audit.Event) error {
	const op = "create user"
	row, err := newUserRow(u)
	if err != nil {
		return fault(op, err)
	}
	if !isText(row.ID) || !isText(row.Username) || !isText(row.Email) {
		return answer(op, "", refuse(fmt.Errorf("%w: it contains bytes that are not text", accounts.ErrInvalid)))
	}
	return s.change(ctx, op, changes.User, u.ID, ev, func(tx *gorm.DB, n changes.Number) error {
		row.Epoch = int64(n)
		err := tx.Create(&row).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return refuse(accounts.ErrExists)
		}
		if err != nil {
			return err
		}
		return tellApart(tx, row, userRow{})
	})
}

// UpdateUser implements accounts.Store. A user with bytes that not every
// engine can store is accounts.ErrInvalid.
func (s *Store) UpdateUser(ctx context.Context, id string, edit func(*accounts.User) (*audit.Event, error)) error {
	const op = "update user"
	if !isText(id) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	return s.edit(ctx, op, changes.User, id, func(tx *gorm.DB, _ changes.Number) (audit.Event, error) {
		var rows []userRow
		if err := tx.Where("id = ?", id).Limit(1).Find(&rows).Error; err != nil {
			return audit.Event{}, err
		}
		if len(rows) == 0 {
			return audit.Event{}, refuse(accounts.ErrNotFound)
		}
		u, err := rows[0].user()
		if err != nil {
			return audit.Event{}, err
		}
		ev, err := edit(&u)
		if err != nil {
			return audit.Event{}, refuse(err)
		}
		if ev == nil {
			return audit.Event{}, errUnchanged
		}
		row, err := newUserRow(u)
		if err != nil {
			return audit.Event{}, err
		}
		if !isText(row.Username) || !isText(row.Email) {
			return audit.Event{}, refuse(fmt.Errorf("%w: it contains bytes that are not text", accounts.ErrInvalid))
		}
		err = tx.Exec("UPDATE users SET username = ?, email = ?, email_form = ?, email_verified = ?, roles = ?, claims = ? WHERE id = ?",
			row.Username, row.Email, row.EmailForm, row.EmailVerified, row.Roles, row.Claims, id).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			err = refuse(accounts.ErrExists)
		}
		if err != nil {
			return audit.Event{}, err
		}
		row.ID = id
		return *ev, tellApart(tx, row, rows[0])
	})
}

// SetUserDisabled implements accounts.Store.
func (s *Store) SetUserDisabled(ctx context.Context, id string, disabled bool, ev audit.Event) error {
	return s.changeUser(ctx, "disable or enable user", id, ev, func(tx *gorm.DB, n changes.Number) *gorm.DB {
		// Also a cut, so that no old session or grant works again when the user is
		// enabled.
		return tx.Exec("UPDATE users SET disabled = ?, epoch = ? WHERE id = ? AND disabled <> ?", disabled, int64(n), id, disabled)
	})
}

// SetPassword implements accounts.Store.
func (s *Store) SetPassword(ctx context.Context, id, hash string, ev audit.Event) error {
	return s.changeUser(ctx, "set the password of user", id, ev, func(tx *gorm.DB, n changes.Number) *gorm.DB {
		return tx.Exec("UPDATE users SET password = ?, epoch = ? WHERE id = ?", hash, int64(n), id)
	})
}

// CutUser implements revocation.Store.
func (s *Store) CutUser(ctx context.Context, id string, ev audit.Event) error {
	return s.changeUser(ctx, "cut user", id, ev, func(tx *gorm.DB, n changes.Number) *gorm.DB {
		return tx.Exec("UPDATE users SET epoch = ? WHERE id = ?", int64(n), id)
	})
}

// changeUser runs a statement that changes one user. If no row changes, it finds out
// whether there is no such user or whether the user is as requested already.
func (s *Store) changeUser(ctx context.Context, op, id string, ev audit.Event, statement func(*gorm.DB, changes.Number) *gorm.DB) error {
	if !isText(id) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	return s.change(ctx, op, changes.User, id, ev, func(tx *gorm.DB, n changes.Number) error {
		set := statement(tx, n)
		if set.Error != nil || set.RowsAffected == 1 {
			return set.Error
		}
		var found int64
		if err := tx.Model(&userRow{}).Where("id = ?", id).Count(&found).Error; err != nil {
			return err
		}
		if found == 0 {
			return refuse(accounts.ErrNotFound)
		}
		return errUnchanged
	})
}

// DeleteUser implements accounts.Store. Grants of the user stay: they no longer stand,
// and Purge deletes them when they have expired.
func (s *Store) DeleteUser(ctx context.Context, id string, ev audit.Event) error {
	const op = "delete user"
	if !isText(id) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	return s.change(ctx, op, changes.User, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		if err := tx.Where("user_id = ?", id).Delete(&sessionRow{}).Error; err != nil {
			return err
		}
		if err := tx.Where("user_id = ?", id).Delete(&consentRow{}).Error; err != nil {
			return err
		}
		deleted := tx.Where("id = ?", id).Delete(&userRow{})
		if deleted.Error == nil && deleted.RowsAffected == 0 {
			return refuse(accounts.ErrNotFound)
		}
		return deleted.Error
	})
}
