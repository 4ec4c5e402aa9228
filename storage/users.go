package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

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
	// TemporaryPassword is the hash of a password that must be changed; see password.
	TemporaryPassword *string `gorm:"column:temporary_password"`
}

func (userRow) TableName() string { return "users" }

func newUserRow(u accounts.User) (userRow, error) {
	roles, err := list(u.Roles)
	if err != nil {
		return userRow{}, err
	}
	claims, err := accounts.WriteClaims(u.Claims)
	password, temporary := passwordColumns(u.Password, u.MustChange)
	return userRow{
		ID: u.ID, Username: u.Username, Email: u.Email, Roles: roles, Claims: string(claims),
		Password: password, TemporaryPassword: temporary, Disabled: u.Disabled, CreatedMS: ms(u.CreatedAt), EmailVerified: u.EmailVerified,
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
	password, mustChange := r.password()
	return accounts.User{
		ID: r.ID, Username: r.Username, Email: r.Email, Roles: roles, Claims: claims,
		Password: password, MustChange: mustChange, Disabled: r.Disabled, EmailVerified: r.EmailVerified, Epoch: changes.Number(r.Epoch), CreatedAt: at(r.CreatedMS),
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
func (s *Store) Users(ctx context.Context, q accounts.Query) ([]accounts.User, error) {
	const op = "list users"
	if !isText(q.After) || !isText(q.Role) {
		return nil, nil
	}
	db := s.reading(ctx).Where("username > ?", q.After).Order("username")
	if q.Role != "" {
		db = whoHold(db, q.Role)
	}
	if q.Limit > 0 {
		db = db.Limit(q.Limit)
	}
	var rows []userRow
	if err := db.Find(&rows).Error; err != nil {
		return nil, fault(op, err)
	}
	return users(op, rows)
}

// whoHold selects the users who hold a role. A role has no quotation mark in it, so that it
// is found as a whole in the list.
func whoHold(db *gorm.DB, role string) *gorm.DB {
	quoted, err := json.Marshal(role)
	if err != nil {
		panic(err) // texts are always JSON
	}
	// REPLACE compares letters as they are, in all engines.
	return db.Where("roles <> REPLACE(roles, ?, '')", string(quoted))
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
func (s *Store) UpdateUser(ctx context.Context, id string, edit func(*accounts.User, accounts.Others) (*audit.Event, error)) error {
	const op = "update user"
	if !isText(id) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	return s.edit(ctx, op, changes.User, id, func(tx *gorm.DB, _ changes.Number) (audit.Event, error) {
		was, u, err := userToChange(tx, id)
		if err != nil {
			return audit.Event{}, err
		}
		others, former := othersThan(tx, id), accounts.User{Roles: slices.Clone(u.Roles)}
		ev, err := edit(&u, others.who)
		if err != nil {
			return audit.Event{}, others.answer(err)
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
		if u.Appoints(former) {
			if ended := endLinks(tx, id); ended.Error != nil {
				return audit.Event{}, ended.Error
			}
		}
		row.ID = id
		return *ev, tellApart(tx, row, was)
	})
}

// userToChange reads a user in the transaction that changes them.
func userToChange(tx *gorm.DB, id string) (userRow, accounts.User, error) {
	var rows []userRow
	if err := tx.Where("id = ?", id).Limit(1).Find(&rows).Error; err != nil {
		return userRow{}, accounts.User{}, err
	}
	if len(rows) == 0 {
		return userRow{}, accounts.User{}, refuse(accounts.ErrNotFound)
	}
	u, err := rows[0].user()
	return rows[0], u, err
}

// others are the users besides the one whom a transaction changes. Changes run one after
// the other, so of two at the same time the second sees what the first has left.
type others struct {
	tx   *gorm.DB
	than string
	// failed is why they could not be asked about.
	failed error
}

func othersThan(tx *gorm.DB, id string) *others { return &others{tx: tx, than: id} }

// who implements accounts.Others.
func (o *others) who(role string) (bool, error) {
	var rows []userRow
	err := whoHold(o.tx.Select("id"), role).Where("id <> ? AND disabled = FALSE AND (password <> '' OR temporary_password <> '')", o.than).Limit(1).Find(&rows).Error
	if err != nil {
		o.failed = err
	}
	return len(rows) > 0, err
}

// answer is the answer to an error of whoever asked about the others: a refusal, unless
// the database has failed.
func (o *others) answer(err error) error {
	if o.failed != nil {
		return o.failed
	}
	return refuse(err)
}

// allowedUser asks whether a user as they are now may be changed.
func allowedUser(tx *gorm.DB, id string, allow accounts.Allow) error {
	if allow == nil {
		return nil
	}
	_, u, err := userToChange(tx, id)
	if err != nil {
		return err
	}
	others := othersThan(tx, id)
	if err := allow(u, others.who); err != nil {
		return others.answer(err)
	}
	return nil
}

// SetUserDisabled implements accounts.Store.
func (s *Store) SetUserDisabled(ctx context.Context, id string, disabled bool, allow accounts.Allow, ev audit.Event) error {
	return s.changeUser(ctx, "disable or enable user", id, allow, ev, func(tx *gorm.DB, n changes.Number) *gorm.DB {
		// Also a cut, so that no old session or grant works again when the user is
		// enabled.
		return tx.Exec("UPDATE users SET disabled = ?, epoch = ? WHERE id = ? AND disabled <> ?", disabled, int64(n), id, disabled)
	})
}

// SetPassword implements accounts.Store.
func (s *Store) SetPassword(ctx context.Context, id, hash string, mustChange bool, allow accounts.Allow, ev audit.Event) error {
	return s.changeUser(ctx, "set the password of user", id, allow, ev, func(tx *gorm.DB, n changes.Number) *gorm.DB {
		return setPassword(tx, id, hash, mustChange, n)
	})
}

// CutUser implements revocation.Store.
func (s *Store) CutUser(ctx context.Context, id string, ev audit.Event) error {
	return s.changeUser(ctx, "cut user", id, nil, ev, func(tx *gorm.DB, n changes.Number) *gorm.DB {
		return tx.Exec("UPDATE users SET epoch = ? WHERE id = ?", int64(n), id)
	})
}

// changeUser runs a statement that changes one user, if that is allowed. If no row changes,
// it finds out whether there is no such user or whether the user is as requested already.
func (s *Store) changeUser(ctx context.Context, op, id string, allow accounts.Allow, ev audit.Event, statement func(*gorm.DB, changes.Number) *gorm.DB) error {
	if !isText(id) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	return s.change(ctx, op, changes.User, id, ev, func(tx *gorm.DB, n changes.Number) error {
		if err := allowedUser(tx, id, allow); err != nil {
			return err
		}
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
func (s *Store) DeleteUser(ctx context.Context, id string, allow accounts.Allow, ev audit.Event) error {
	const op = "delete user"
	if !isText(id) {
		return answer(op, "", refuse(accounts.ErrNotFound))
	}
	return s.change(ctx, op, changes.User, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		if err := allowedUser(tx, id, allow); err != nil {
			return err
		}
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
