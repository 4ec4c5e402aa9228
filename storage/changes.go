package storage

import (
	"context"

	"github.com/ingam/ingam/authz/changes"
)

type seqRow struct {
	ID int64 `gorm:"column:id;primaryKey"`
	N  int64 `gorm:"column:n;not null"`
}

func (seqRow) TableName() string { return "change_seq" }

type changeRow struct {
	Number  int64  `gorm:"column:number;primaryKey;autoIncrement:false"`
	Kind    string `gorm:"column:kind;not null"`
	Subject string `gorm:"column:subject;not null"`
	AtMS    int64  `gorm:"column:at_ms;not null"`
	// Mark is NULL in rows that were written before this column existed.
	Mark *string `gorm:"column:mark"`
}

func (changeRow) TableName() string { return "changes" }

// ChangeNumber implements lists.Store and listeners.Store.
func (s *Store) ChangeNumber(ctx context.Context) (changes.Number, error) {
	var row seqRow
	if err := s.reading(ctx).Where("id = 1").Take(&row).Error; err != nil {
		return 0, fault("read the change number", err)
	}
	return changes.Number(row.N), nil
}

// LastCut implements listeners.Acknowledged.
func (s *Store) LastCut(ctx context.Context) (changes.Number, error) {
	var n int64
	err := s.reading(ctx).Model(&changeRow{}).Where("kind IN ?", changes.Cuts).Select("COALESCE(MAX(number), 0)").Scan(&n).Error
	return changes.Number(n), fault("read the last cut", err)
}

// ChangesAfter implements changes.Store.
func (s *Store) ChangesAfter(ctx context.Context, after changes.Number, limit int) ([]changes.Change, error) {
	if limit <= 0 {
		return nil, nil
	}
	var rows []changeRow
	err := s.reading(ctx).Where("number > ?", int64(after)).Order("number").Limit(limit).Find(&rows).Error
	if err != nil {
		return nil, fault("read changes", err)
	}
	list := make([]changes.Change, len(rows))
	for i, r := range rows {
		list[i] = changes.Change{Number: changes.Number(r.Number), Kind: changes.Kind(r.Kind), Subject: r.Subject, At: at(r.AtMS)}
		if r.Mark != nil {
			list[i].Mark = *r.Mark
		}
	}
	return list, nil
}
