package storage

import (
	"context"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
)

// TakeIssuer returns the issuer that this database belongs to. A database without one
// belongs to the given issuer from now on; of several servers that start at the same
// time, the first one decides.
func (s *Store) TakeIssuer(ctx context.Context, issuer string) (string, error) {
	const op = "read the issuer"
	// Read first, so that the start of a server does not need to write.
	if has, err := issuerOf(s.reading(ctx)); err != nil || has != "" {
		return has, fault(op, err)
	}
	err := s.statement(ctx, func(db *gorm.DB) error {
		return db.Exec("UPDATE server SET issuer = ? WHERE id = 1 AND issuer IS NULL", issuer).Error
	})
	if err != nil {
		return "", fault("take the issuer", err)
	}
	has, err := issuerOf(s.writing(ctx))
	return has, fault(op, err)
}

// ChangeIssuer assigns the database to another issuer.
func (s *Store) ChangeIssuer(ctx context.Context, issuer string, ev audit.Event) error {
	return s.note(ctx, "change the issuer", ev, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE server SET issuer = ? WHERE id = 1", issuer).Error
	})
}

// issuerOf returns the issuer in the server's row; empty if there is none yet.
func issuerOf(db *gorm.DB) (string, error) {
	var row serverRow
	if err := db.Where("id = 1").Take(&row).Error; err != nil {
		return "", err
	}
	if row.Issuer == nil {
		return "", nil
	}
	return *row.Issuer, nil
}
