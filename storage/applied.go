package storage

import (
	"context"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/administration"
)

type appliedRow struct {
	Kind      string `gorm:"column:kind;primaryKey"`
	ID        string `gorm:"column:id;primaryKey"`
	Version   string `gorm:"column:version;not null"`
	CreatedMS int64  `gorm:"column:created_ms;not null"`
}

func (appliedRow) TableName() string { return "applied" }

// Applied implements administration.Marks.
func (s *Store) Applied(ctx context.Context) ([]administration.Mark, error) {
	var rows []appliedRow
	if err := s.reading(ctx).Order("kind, id").Find(&rows).Error; err != nil {
		return nil, fault("read what was applied", err)
	}
	marks := make([]administration.Mark, len(rows))
	for i, r := range rows {
		marks[i] = administration.Mark{Kind: r.Kind, ID: r.ID, Version: r.Version, CreatedAt: at(r.CreatedMS)}
	}
	return marks, nil
}

// MarkApplied implements administration.Marks.
func (s *Store) MarkApplied(ctx context.Context, m administration.Mark) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := unmark(tx, m); err != nil || m.Version == "" {
			return err
		}
		return tx.Create(&appliedRow{m.Kind, m.ID, m.Version, ms(m.CreatedAt)}).Error
	})
	return fault("note what was applied", err)
}

func unmark(tx *gorm.DB, m administration.Mark) error {
	return tx.Where("kind = ? AND id = ?", m.Kind, m.ID).Delete(&appliedRow{}).Error
}
