package storage

import (
	"context"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/accounts"
)

func emailForm(address string) *string {
	form := accounts.EmailForm(address)
	if form == "" {
		return nil
	}
	return &form
}

// UsersByForm implements accounts.Store. Each half of the statement has its own index
// and its own limit, so the time does not tell how many users have an address, nor
// whether any has. The halves are joined by id only: with text columns MariaDB would
// write a temporary file if there is a row, and the time would tell that a user exists.
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

// SharedForms implements accounts.Store.
func (s *Store) SharedForms(ctx context.Context, forms []string) ([]string, error) {
	var shared []string
	for some := range slices.Chunk(forms, wholeAtOnce) {
		var found []string
		err := s.reading(ctx).Raw(`
			SELECT held.form FROM (
				SELECT id, username AS form FROM users WHERE username IN ?
				UNION SELECT id, email_form AS form FROM users WHERE email_form IN ?) AS held
			 GROUP BY held.form HAVING COUNT(*) > 1`, some, some).Scan(&found).Error
		if err != nil {
			return nil, fault("find shared addresses", err)
		}
		shared = append(shared, found...)
	}
	return shared, nil
}

// tellApart refuses a user who could be confused with another one at sign-in: whose
// e-mail address or name is the address of another user, or whose address is the name
// of another user. Only the changed fields are checked, because there are users from
// before this rule. Changes run one after the other, so of two at the same time the
// second sees the first.
func tellApart(tx *gorm.DB, row, was userRow) error {
	other := func(column, form string) (found *userRow, err error) {
		var rows []userRow
		err = tx.Select("id", "username", "email").Where("id <> ? AND "+column+" = ?", row.ID, form).Order("id").Find(&rows).Error
		for _, r := range rows {
			// The form is stale where an older version changed the address without it.
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

// taken returns the error why if another user was found, and nil if none was.
func taken(why error, other *userRow, err error) error {
	if other == nil || err != nil {
		return err
	}
	return refuse(fmt.Errorf("%w: %s", why, other.Username))
}

// RenewEmailForms corrects the stored form of each e-mail address where it is missing
// or stale: a version that does not know forms wrote the address, or the migration
// could not compute the form. It reads all users. It is no change of any user, so it
// takes no change number.
func (s *Store) RenewEmailForms(ctx context.Context) error {
	const op = "renew the forms of addresses"
	for after := ""; ; {
		var found, renewed []userRow
		// For ASCII addresses LOWER computes the form. For others this finds some rows
		// that turn out to be right already.
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
				// In the order of their ids, as other processes do it too, so that they
				// cannot deadlock.
				for _, r := range renewed {
					// Not if the address has changed meanwhile.
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
