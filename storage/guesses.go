package storage

import (
	"context"
	"database/sql"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/throttle"
)

type guessRow struct {
	// Subject is a hash of what attempts are counted for, such as a user and an
	// address.
	Subject string `gorm:"column:subject;primaryKey"`
	SinceMS int64  `gorm:"column:since_ms;not null"`
	N       int64  `gorm:"column:n;not null"`
}

func (guessRow) TableName() string { return "guesses" }

// CountGuess implements throttle.Store.
func (s *Store) CountGuess(ctx context.Context, subject string, now, since time.Time) (throttle.Tally, error) {
	const op = "count a guess"
	var rows []guessRow
	err := s.statement(ctx, func(db *gorm.DB) (err error) {
		rows, err = s.dialect.countGuess(db, subject, ms(now), ms(since))
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

// How long UncountGuesses waits before it tries again: the pause doubles each time, two
// and a half seconds altogether. By then the pool has noticed which of its connections
// are dead.
const (
	uncountAgain = 20 * time.Millisecond
	uncountLast  = 64 * uncountAgain
)

// UncountGuesses implements throttle.Store. It has a small share of the connections for
// itself. Otherwise it would wait behind other writes whenever these wait for a lock,
// and right passwords would keep counting as wrong ones.
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
		// A statement that may have run is not tried again: subtracted twice, it would
		// give an attacker a free guess.
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

// countGuessReturning is countGuess for the engines that have RETURNING.
func countGuessReturning(db *gorm.DB, subject string, now, since int64) (rows []guessRow, err error) {
	err = db.Raw(`
		INSERT INTO guesses (subject, since_ms, n) VALUES (?, ?, 1)
		    ON CONFLICT (subject) DO UPDATE SET
		       n = CASE WHEN guesses.since_ms <= ? THEN 1 ELSE guesses.n + 1 END,
		       since_ms = CASE WHEN guesses.since_ms <= ? THEN ? ELSE guesses.since_ms END
		    RETURNING subject, since_ms, n`, subject, now, since, since, now).Scan(&rows).Error
	return rows, err
}
