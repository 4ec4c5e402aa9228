package storage

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"gorm.io/gorm"
)

// AddClientSecret implements clients.Store.
func (s *Store) AddClientSecret(ctx context.Context, id string, secret clients.Secret, ev audit.Event) error {
	const op = "add a secret to client"
	if !isText(id) {
		return answer(op, id, refuse(clients.ErrNotFound))
	}
	return s.change(ctx, op, changes.Client, id, ev, func(tx *gorm.DB, n changes.Number) error {
		return addSecret(tx, newSecretRow(id, secret, n))
	})
}

func addSecret(tx *gorm.DB, row secretRow) error {
	added := tx.Exec(`
		INSERT INTO client_secrets (client_id, id, hash, added, created_ms)
		SELECT c.id, ?, ?, ?, ?
		  FROM clients AS c
		 WHERE c.id = ?
		   AND (SELECT COUNT(*) FROM client_secrets AS s WHERE s.client_id = c.id) < ?`,
		row.ID, row.Hash, row.Added, row.CreatedMS, row.ClientID, clients.MaxSecrets)
	if added.Error != nil || added.RowsAffected == 1 {
		return added.Error
	}
	if err := mustExist(tx, row.ClientID); err != nil {
		return err
	}
	return refuse(clients.ErrTooManySecrets)
}

// RemoveClientSecret implements clients.Store.
func (s *Store) RemoveClientSecret(ctx context.Context, id, secretID string, ev audit.Event) (removed clients.Secret, err error) {
	const op = "remove a secret of client"
	if !isText(id) {
		return clients.Secret{}, answer(op, id, refuse(clients.ErrNotFound))
	}
	err = s.edit(ctx, op, changes.Client, id, func(tx *gorm.DB, _ changes.Number) (audit.Event, error) {
		row, err := removeSecret(tx, id, secretID)
		removed = clients.Secret{ID: row.ID, CreatedAt: at(row.CreatedMS)}
		recorded := ev
		recorded.Details = map[string]string{"secret_id": removed.ID, "secret_added": removed.CreatedAt.Format(time.RFC3339)}
		maps.Copy(recorded.Details, ev.Details)
		return recorded, err
	})
	return removed, err
}

// NoteSecretUses implements clients.Store.
func (s *Store) NoteSecretUses(ctx context.Context, uses map[clients.SecretRef]time.Time) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		// In one order everywhere, so that two servers do not wait for each other.
		for _, ref := range slices.SortedFunc(maps.Keys(uses), func(a, b clients.SecretRef) int {
			return cmp.Or(strings.Compare(a.ClientID, b.ClientID), strings.Compare(a.ID, b.ID))
		}) {
			used := ms(uses[ref])
			err := tx.Exec("UPDATE client_secrets SET used_ms = ? WHERE client_id = ? AND id = ? AND (used_ms IS NULL OR used_ms < ?)", used, ref.ClientID, ref.ID, used).Error
			if err != nil {
				return err
			}
		}
		return nil
	})
	return fault("note the uses of secrets", err)
}

// removeSecret deletes a secret and returns the deleted row.
func removeSecret(tx *gorm.DB, id, secretID string) (secretRow, error) {
	var secrets []secretRow
	err := tx.Where("client_id = ?", id).Order("added, created_ms, id").Find(&secrets).Error
	if err != nil {
		return secretRow{}, err
	}
	if len(secrets) == 0 {
		if err := mustExist(tx, id); err != nil {
			return secretRow{}, err
		}
		return secretRow{}, refuse(clients.ErrSecretNotFound)
	}
	i := 0
	if secretID != "" {
		i = slices.IndexFunc(secrets, func(s secretRow) bool { return s.ID == secretID })
	}
	if i < 0 {
		return secretRow{}, refuse(clients.ErrSecretNotFound)
	}
	// MySQL does not allow a DELETE to read its own table, except through a derived
	// table.
	removed := tx.Exec(`
		DELETE FROM client_secrets
		 WHERE client_id = ? AND id = ?
		   AND (SELECT live FROM (SELECT COUNT(*) AS live FROM client_secrets WHERE client_id = ?) AS counted) > 1`,
		id, secrets[i].ID, id)
	if removed.Error == nil && removed.RowsAffected == 0 {
		return secretRow{}, refuse(clients.ErrLastSecret)
	}
	return secrets[i], removed.Error
}
