package storage

import (
	"context"
	"errors"
	"slices"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/consents"
)

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
		// The row stays locked until the end of the transaction. Otherwise, of two
		// browser tabs, the second would overwrite the consent given in the first.
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
		return nil // no client has such an id, so there is no consent
	}
	return s.change(ctx, op, changes.User, user, ev, func(tx *gorm.DB, _ changes.Number) error {
		// Delete the codes first. The statement waits for a redemption in progress,
		// whose grant then exists and is revoked below.
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
