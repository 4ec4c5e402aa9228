package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/throttle"
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
	// EmailVerified is NULL where nobody said.
	EmailVerified *bool `gorm:"column:email_verified"`
	// EmailForm is accounts.EmailForm of the address; NULL where there is none. In
	// rows that a version before this column wrote it is missing, or that of the
	// address before: see RenewEmailForms.
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

func emailForm(address string) *string {
	form := accounts.EmailForm(address)
	if form == "" {
		return nil
	}
	return &form
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

// UsersByForm implements accounts.Store. Each half of the statement has an index
// of its own, and a bound, so that it takes as long for many users with one address
// as for none. Only ids are put together: MariaDB would write a file for rows with text,
// if there is any, and the time would tell who is there.
func (s *Store) UsersByForm(ctx context.Context, form string, most int) ([]accounts.User, error) {
	const op = "find user"
	if !isText(form) {
		return nil, nil
	}
	db := s.reading(ctx)
	var rows []userRow
	err := db.Joins("JOIN (SELECT id FROM (?) AS named UNION ALL SELECT id FROM (?) AS addressed) AS found ON found.id = users.id",
		db.Model(&userRow{}).Select("id").Where("username = ?", form).Limit(1),
		db.Model(&userRow{}).Select("id").Where("email_form = ?", form).Limit(most)).Find(&rows).Error
	if err != nil {
		return nil, fault(op, err)
	}
	return users(op, rows)
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

// tellApart refuses a user who could not be told from another at sign-in: whose
// address, or name, is the address of another, or whose address is the name of
// another. Only what was changed is looked at; there are users from before this rule.
// Changes stand in a line, so of two at once one comes second and sees the first.
func tellApart(tx *gorm.DB, row, was userRow) error {
	other := func(column, form string) (found *userRow, err error) {
		var rows []userRow
		err = tx.Select("id", "username", "email").Where("id <> ? AND "+column+" = ?", row.ID, form).Order("id").Find(&rows).Error
		for _, r := range rows {
			// The form is not that of an address which an older version changed.
			if column == "username" || accounts.EmailForm(r.Email) == form {
				return &r, err
			}
		}
		return nil, err
	}
	if row.Username != was.Username {
		if o, err := other("email_form", row.Username); o != nil || err != nil {
			return taken(accounts.ErrUsernameIsEmail, o, err)
		}
	}
	if row.Email == was.Email || row.EmailForm == nil {
		return nil
	}
	if o, err := other("username", *row.EmailForm); o != nil || err != nil {
		return taken(accounts.ErrEmailIsUsername, o, err)
	}
	o, err := other("email_form", *row.EmailForm)
	return taken(accounts.ErrEmailExists, o, err)
}

// taken is the refusal of what another user has, and nil if there is none.
func taken(why error, other *userRow, err error) error {
	if other == nil || err != nil {
		return err
	}
	return refuse(fmt.Errorf("%w: %s", why, other.Username))
}

// RenewEmailForms stores the form of each address that has another or none: a version
// that knows of no forms wrote it beside this one, or the migration could not fill it
// in. It reads all users, and is no change of any: what they have stays.
func (s *Store) RenewEmailForms(ctx context.Context) error {
	const op = "renew the forms of addresses"
	for after := ""; ; {
		var found, renewed []userRow
		// Of ASCII alone, LOWER makes the form; of the rest this finds a few too many.
		err := s.reading(ctx).Select("id", "email", "COALESCE(email_form, '') AS email_form").
			Where("id > ? AND COALESCE(email_form, '') <> LOWER(email)", after).Order("id").Limit(largestBatch).Find(&found).Error
		if err != nil {
			return fault(op, err)
		}
		for _, r := range found {
			if accounts.EmailForm(r.Email) != *r.EmailForm {
				renewed = append(renewed, r)
			}
		}
		if len(renewed) > 0 {
			err = s.transaction(ctx, func(tx *gorm.DB) error {
				// In the order of their ids, as whoever else is at it.
				for _, r := range renewed {
					// Unless it has got another address in between.
					err := tx.Exec("UPDATE users SET email_form = ? WHERE id = ? AND email = ?", emailForm(r.Email), r.ID, r.Email).Error
					if err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err != nil || len(found) < largestBatch {
			return fault(op, err)
		}
		after = found[len(found)-1].ID
	}
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
		// A cut as well, so that nothing comes back to life with the user.
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

// changeUser runs a statement that changes one user; if it affects none, the
// user is not there or is as asked already.
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

// DeleteUser implements accounts.Store. Grants stay: without their user
// they do not stand, and are purged when they expire.
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

type consentRow struct {
	UserID   string `gorm:"column:user_id;primaryKey"`
	ClientID string `gorm:"column:client_id;primaryKey"`
	// Scopes is a JSON list.
	Scopes    string `gorm:"column:scopes;not null"`
	GrantedMS int64  `gorm:"column:granted_ms;not null"`
}

func (consentRow) TableName() string { return "consents" }

func (r consentRow) consent() (consents.Consent, error) {
	scopes, err := unlist(r.Scopes)
	return consents.Consent{UserID: r.UserID, ClientID: r.ClientID, Scopes: scopes, GrantedAt: at(r.GrantedMS)}, err
}

// Consent implements consents.Store.
func (s *Store) Consent(ctx context.Context, user, client string) (consents.Consent, error) {
	const op = "read consent"
	var rows []consentRow
	err := s.reading(ctx).Where("user_id = ? AND client_id = ?", user, client).Limit(1).Find(&rows).Error
	if err != nil || len(rows) == 0 {
		return consents.Consent{UserID: user, ClientID: client}, fault(op, err)
	}
	c, err := rows[0].consent()
	return c, fault(op, err)
}

// Consents implements consents.Store.
func (s *Store) Consents(ctx context.Context, user string) ([]consents.Consent, error) {
	const op = "list consents"
	var rows []consentRow
	if err := s.reading(ctx).Where("user_id = ?", user).Order("client_id").Find(&rows).Error; err != nil {
		return nil, fault(op, err)
	}
	all := make([]consents.Consent, len(rows))
	for i, r := range rows {
		var err error
		if all[i], err = r.consent(); err != nil {
			return nil, fault(op, err)
		}
	}
	return all, nil
}

// AddConsent implements consents.Store.
func (s *Store) AddConsent(ctx context.Context, c consents.Consent, ev audit.Event) error {
	return s.note(ctx, "add to a consent", ev, func(tx *gorm.DB) error {
		// Locked until the end, or of two tabs one would undo the other's.
		var rows []consentRow
		err := tx.Clauses(clause.Locking{Strength: clause.LockingStrengthUpdate}).
			Where("user_id = ? AND client_id = ?", c.UserID, c.ClientID).Limit(1).Find(&rows).Error
		if err != nil {
			return err
		}
		all := []string{}
		if len(rows) == 1 {
			if all, err = unlist(rows[0].Scopes); err != nil {
				return err
			}
		}
		for _, scope := range c.Scopes {
			if !slices.Contains(all, scope) {
				all = append(all, scope)
			}
		}
		scopes, err := list(all)
		if err != nil {
			return err
		}
		if len(rows) == 1 {
			return tx.Exec("UPDATE consents SET scopes = ? WHERE user_id = ? AND client_id = ?", scopes, c.UserID, c.ClientID).Error
		}
		err = tx.Create(&consentRow{UserID: c.UserID, ClientID: c.ClientID, Scopes: scopes, GrantedMS: ms(c.GrantedAt)}).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return errAgain
		}
		return err
	})
}

// DeleteConsent implements consents.Store.
func (s *Store) DeleteConsent(ctx context.Context, user, client string, ev audit.Event) error {
	const op = "delete consent"
	if !isText(user) || !isText(client) || len(client) > 255 {
		return nil // nobody has one with such a client
	}
	return s.change(ctx, op, changes.User, user, ev, func(tx *gorm.DB, _ changes.Number) error {
		// Codes first: one that is being redeemed is waited for, and then there is
		// a grant to revoke.
		if err := tx.Exec("DELETE FROM codes WHERE user_id = ? AND client_id = ?", user, client).Error; err != nil {
			return err
		}
		deleted := tx.Where("user_id = ? AND client_id = ?", user, client).Delete(&consentRow{})
		if deleted.Error != nil {
			return deleted.Error
		}
		revoked := tx.Exec("UPDATE grants SET revoked_ms = ?, revoked_why = ? WHERE user_id = ? AND client_id = ? AND revoked_ms IS NULL",
			ms(ev.At), string(ev.Action), user, client)
		// A first-party client has grants without a consent.
		if revoked.Error == nil && deleted.RowsAffected+revoked.RowsAffected == 0 {
			return errUnchanged
		}
		return revoked.Error
	})
}

type guessRow struct {
	// Subject is a hash of what attempts are counted for.
	Subject string `gorm:"column:subject;primaryKey"`
	SinceMS int64  `gorm:"column:since_ms;not null"`
	N       int64  `gorm:"column:n;not null"`
}

func (guessRow) TableName() string { return "guesses" }

// CountGuess implements throttle.Store.
func (s *Store) CountGuess(ctx context.Context, subject string, now, since time.Time) (throttle.Tally, error) {
	const op = "count a guess"
	var rows []guessRow
	err := s.statement(ctx, func() (err error) {
		rows, err = s.dialect.countGuess(s.writing(ctx), subject, ms(now), ms(since))
		return err
	})
	if err == nil && len(rows) != 1 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return throttle.Tally{}, fault(op, err)
	}
	return throttle.Tally{Subject: subject, N: rows[0].N, Since: at(rows[0].SinceMS)}, nil
}

// How long UncountGuesses waits before it tries again: twice as long each time,
// two and a half seconds altogether. By then a pool has noticed which of its
// connections are dead.
const (
	uncountAgain = 20 * time.Millisecond
	uncountLast  = 64 * uncountAgain
)

// UncountGuesses implements throttle.Store. It has a small share of its own: where
// other writes wait for a lock, and it behind them, right passwords would go on counting
// like wrong ones.
func (s *Store) UncountGuesses(ctx context.Context, counted []throttle.Tally) error {
	const op = "uncount guesses"
	if len(counted) == 0 {
		return nil
	}
	var windows []string
	var values []any
	for _, t := range counted {
		windows = append(windows, "subject = ? AND since_ms = ?")
		values = append(values, t.Subject, ms(t.Since))
	}
	statement := "UPDATE guesses SET n = n - 1 WHERE n > 0 AND (" + strings.Join(windows, " OR ") + ")"
	for pause := uncountAgain; ; pause *= 2 {
		err := s.uncounting.within(ctx, func() error {
			return again(ctx, func() error { return s.writing(ctx).Exec(statement, values...).Error })
		})
		// What may have happened is not tried again: taken back twice, it would be
		// a guess for nothing.
		if !isUndone(err) || pause > uncountLast {
			return fault(op, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fault(op, err)
		}
	}
}

// countGuessReturning is for the engines that have RETURNING.
func countGuessReturning(db *gorm.DB, subject string, now, since int64) (rows []guessRow, err error) {
	err = db.Raw(`
		INSERT INTO guesses (subject, since_ms, n) VALUES (?, ?, 1)
		    ON CONFLICT (subject) DO UPDATE SET
		       n = CASE WHEN guesses.since_ms <= ? THEN 1 ELSE guesses.n + 1 END,
		       since_ms = CASE WHEN guesses.since_ms <= ? THEN ? ELSE guesses.since_ms END
		    RETURNING subject, since_ms, n`, subject, now, since, since, now).Scan(&rows).Error
	return rows, err
}
