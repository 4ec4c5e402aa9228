package storage

import (
	"context"
	"fmt"

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
