package storage

import (
	"context"
	"errors"
	"maps"
	"slices"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/keys"
)

type keyRow struct {
	KID     string `gorm:"column:kid;primaryKey"`
	Ring    string `gorm:"column:ring;not null"`
	Ordinal int64  `gorm:"column:ordinal;not null"`
	Public  []byte `gorm:"column:public;not null"`
	// Sealed is NULL once the private key was destroyed.
	Sealed      []byte `gorm:"column:sealed"`
	PublishedMS int64  `gorm:"column:published_ms;not null"`
	SignsFromMS int64  `gorm:"column:signs_from_ms;not null"`
	WithdrawnMS *int64 `gorm:"column:withdrawn_ms"`
}

func (keyRow) TableName() string { return "signing_keys" }

func newKeyRow(r keys.Record) keyRow {
	return keyRow{
		KID:         r.KID,
		Ring:        string(r.Ring),
		Ordinal:     r.Ordinal,
		Public:      r.Public,
		Sealed:      r.Sealed,
		PublishedMS: ms(r.PublishedAt),
		SignsFromMS: ms(r.SignsFrom),
		WithdrawnMS: optionalMS(r.WithdrawnAt),
	}
}

func (r keyRow) record() keys.Record {
	return keys.Record{
		KID:         r.KID,
		Ring:        keys.Ring(r.Ring),
		Ordinal:     r.Ordinal,
		Public:      r.Public,
		Sealed:      r.Sealed,
		PublishedAt: at(r.PublishedMS),
		SignsFrom:   at(r.SignsFromMS),
		WithdrawnAt: optionalAt(r.WithdrawnMS),
	}
}

// SigningKeys implements keys.Store.
func (s *Store) SigningKeys(ctx context.Context) ([]keys.Record, error) {
	var rows []keyRow
	if err := s.reading(ctx).Order("ring, ordinal").Find(&rows).Error; err != nil {
		return nil, fault("read signing keys", err)
	}
	records := make([]keys.Record, len(rows))
	for i, r := range rows {
		records[i] = r.record()
	}
	return records, nil
}

// ChangeKeys implements keys.Store. If no row changes, because another process made the
// same change before, the error is keys.ErrRaced too, so no event tells of something
// that did not happen.
func (s *Store) ChangeKeys(ctx context.Context, c keys.Change) error {
	ev := audit.Event{
		At:      c.At,
		Actor:   audit.Actor(c.Actor),
		Action:  audit.Action(c.Action),
		Subject: c.KID,
		Reason:  c.Reason,
		Details: c.Details(),
	}
	return s.change(ctx, "change keys", changes.Key, c.KID, ev, func(tx *gorm.DB, _ changes.Number) error {
		return changeKeys(tx, c)
	})
}

func changeKeys(tx *gorm.DB, c keys.Change) error {
	changed := int64(0)
	// apply runs a statement. If condition is set, the change is refused unless the
	// statement affects one row.
	apply := func(condition bool, statement *gorm.DB) error {
		if statement.Error == nil && condition && statement.RowsAffected != 1 {
			return refuse(keys.ErrRaced)
		}
		changed += statement.RowsAffected
		return statement.Error
	}

	if c.Withdraw {
		err := apply(true, tx.Exec(
			"UPDATE signing_keys SET withdrawn_ms = ? WHERE kid = ? AND withdrawn_ms IS NULL",
			ms(c.At), c.KID))
		if err != nil {
			return err
		}
	}
	for _, m := range c.Move {
		if err := moveKey(tx, m, apply); err != nil {
			return err
		}
	}
	for _, r := range c.Insert {
		if err := insertKey(tx, r, apply); err != nil {
			return err
		}
	}
	for _, kid := range slices.Sorted(maps.Keys(c.Reseal)) {
		err := apply(false, tx.Exec(
			"UPDATE signing_keys SET sealed = ? WHERE kid = ? AND sealed IS NOT NULL",
			c.Reseal[kid], kid))
		if err != nil {
			return err
		}
	}
	for _, kid := range c.Destroy {
		err := apply(false, tx.Exec(
			"UPDATE signing_keys SET sealed = NULL WHERE kid = ? AND sealed IS NOT NULL", kid))
		if err != nil {
			return err
		}
	}
	for _, kid := range c.Delete {
		if err := apply(false, tx.Where("kid = ?", kid).Delete(&keyRow{})); err != nil {
			return err
		}
	}
	if changed == 0 {
		return refuse(keys.ErrRaced)
	}
	return nil
}

// knowsRings is the schema of the first version that knows other rings than two of RSA keys.
const knowsRings = 10

// insertKey adds a key. If older versions cannot read it, it keeps them from starting: they
// read all keys or none, and would stop with an error that does not say why.
func insertKey(tx *gorm.DB, r keys.Record, apply func(bool, *gorm.DB) error) error {
	row := newKeyRow(r)
	err := apply(true, tx.Create(&row))
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return refuse(keys.ErrRaced)
	}
	if by := r.Ring.Algorithm(); err != nil || by == keys.RS256 || by == keys.PS256 {
		return err
	}
	return tx.Exec("UPDATE server SET oldest_schema = ? WHERE id = 1 AND oldest_schema < ?", knowsRings, knowsRings).Error
}

func moveKey(tx *gorm.DB, m keys.Move, apply func(bool, *gorm.DB) error) error {
	if ms(m.From) != ms(m.To) {
		return apply(true, tx.Exec(
			"UPDATE signing_keys SET signs_from_ms = ? WHERE kid = ? AND signs_from_ms = ? AND withdrawn_ms IS NULL",
			ms(m.To), m.KID, ms(m.From)))
	}
	// For a value that is already as it should be: MySQL does not count such a row as
	// affected, and the condition must still hold.
	var n int64
	err := tx.Model(&keyRow{}).
		Where("kid = ? AND signs_from_ms = ? AND withdrawn_ms IS NULL", m.KID, ms(m.From)).Count(&n).Error
	if err == nil && n == 0 {
		return refuse(keys.ErrRaced)
	}
	return err
}
