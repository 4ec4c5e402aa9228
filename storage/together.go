package storage

import (
	"context"

	"gorm.io/gorm"
)

// Together makes all changes that work makes in its context one transaction, and lets it
// read what it has changed. Nobody else makes a change from when it begins, so what it reads
// is what it changes. If work returns an error, nothing of it stays. work may be
// called again, if the transaction had to give way to another one. It must use the context
// in one goroutine only, and must not wait for anything else: on SQLite all other changes
// wait for it.
func (s *Store) Together(ctx context.Context, work func(ctx context.Context) error) error {
	return s.transaction(ctx, func(tx *gorm.DB) error {
		// It takes no number, but the place of whoever takes one.
		if _, err := s.dialect.takeNumber(tx, 0); err != nil {
			return err
		}
		return work(context.WithValue(ctx, togetherKey{s}, tx))
	})
}

// togetherKey is of one store: a context may be used with several.
type togetherKey struct{ store *Store }

// together returns the transaction that a context belongs to, or nil.
func (s *Store) together(ctx context.Context) *gorm.DB {
	tx, ok := ctx.Value(togetherKey{s}).(*gorm.DB)
	if !ok {
		return nil
	}
	return tx.Session(&gorm.Session{NewDB: true, Context: ctx})
}

// within makes one change of several. What it began is undone if it fails, or if there is
// nothing to change. gorm would do the same, but would not say if that fails.
func within(tx *gorm.DB, work func(tx *gorm.DB) error) error {
	if err := tx.Exec("SAVEPOINT one_change").Error; err != nil {
		return err
	}
	err := work(tx)
	if err != nil {
		if undone := tx.Exec("ROLLBACK TO SAVEPOINT one_change").Error; undone != nil {
			return err // the whole transaction is undone
		}
	}
	if released := tx.Exec("RELEASE SAVEPOINT one_change").Error; err == nil {
		err = released
	}
	return err
}
