package storage

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

// errAgain rolls a transaction back in order to try it again, because a concurrent one
// has won.
var errAgain = errors.New("another transaction was faster")

// errUnchanged rolls a transaction back because there was nothing to do.
var errUnchanged = errors.New("nothing to change")

// change runs work in a transaction that takes a number of the change sequence,
// and records the change and the audit event with it. If work returns
// errUnchanged, nothing is recorded and change returns nil.
func (s *Store) change(ctx context.Context, op string, kind changes.Kind, subject string, ev audit.Event,
	work func(tx *gorm.DB, n changes.Number) error,
) error {
	return s.edit(ctx, op, kind, subject, func(tx *gorm.DB, n changes.Number) (audit.Event, error) { return ev, work(tx, n) })
}

// edit is change for work that decides itself what to record. work reads a record and
// changes it; other editors of that record run before it or after it, never in between.
func (s *Store) edit(ctx context.Context, op string, kind changes.Kind, subject string,
	work func(tx *gorm.DB, n changes.Number) (audit.Event, error),
) error {
	err := s.editAll(ctx, kind, func(tx *gorm.DB, n changes.Number) ([]edited, error) {
		ev, err := work(tx, n)
		return []edited{{subject, ev}}, err
	})
	return answer(op, subject, err)
}

// edited is the subject of a change, and the event that tells of it.
type edited struct {
	subject string
	ev      audit.Event
}

// rowsAtOnce is the greatest number of rows that one statement inserts or names.
const rowsAtOnce = 100

// editAll is edit for work that changes any number of records of a kind, all of them or
// none: each is a change with a number and an event of its own.
func (s *Store) editAll(ctx context.Context, kind changes.Kind, work func(tx *gorm.DB, n changes.Number) ([]edited, error)) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		// This comes before any other lock, so that changes run one after the other.
		n, err := s.dialect.takeNumber(tx, step(kind))
		if err != nil {
			return err
		}
		if n == 0 {
			return errors.New("the change sequence has no row")
		}
		all, err := work(tx, changes.Number(n))
		if err != nil {
			return err
		}
		if further := int64(len(all)) - 1; further > 0 {
			// The row is locked, so these numbers follow the first one without a gap.
			if _, err := s.dialect.takeNumber(tx, further); err != nil {
				return err
			}
		}
		rows, events := make([]changeRow, len(all)), make([]auditRow, len(all))
		for i, e := range all {
			mark := cryptorand.Text()
			rows[i] = changeRow{Number: n + int64(i), Kind: string(kind), Subject: e.subject, AtMS: ms(e.ev.At), Mark: &mark}
			if events[i], err = newAuditRow(ctx, e.ev); err != nil {
				return err
			}
		}
		if err := tx.CreateInBatches(&rows, rowsAtOnce).Error; err != nil {
			return err
		}
		return tx.CreateInBatches(&events, rowsAtOnce).Error
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

// note runs work in a transaction that also records the audit event. It is for records
// of which no process keeps a copy: it takes no change number, and waits for no change.
func (s *Store) note(ctx context.Context, op string, ev audit.Event, work func(tx *gorm.DB) error) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := work(tx); err != nil {
			return err
		}
		return createEvent(ctx, tx, ev)
	})
	return answer(op, "", err)
}

// createEvent writes an event in a transaction, whose own context may be that of several
// requests.
func createEvent(ctx context.Context, tx *gorm.DB, ev audit.Event) error {
	row, err := newAuditRow(ctx, ev)
	if err != nil {
		return err
	}
	return tx.Create(&row).Error
}

// leap is by how much a cut of everything raises the change sequence; farther is the
// greatest random amount that a restore adds.
const (
	leap    = 1 << 32
	farther = 1 << 40
)

// step returns by how much a change raises the sequence: by 1, except for a cut of
// everything and a restore. A restored database would give out numbers again that
// tokens already carry, and no cut would reach these tokens until the sequence had
// caught up. So a cut of everything goes beyond whatever may have been lost. A restore
// does the same, by a random step, because one backup may be restored twice and both
// copies may go on. (For some thousand restores the numbers stay below 2^53, which
// every JSON parser reads exactly.)
func step(kind changes.Kind) int64 {
	switch kind {
	case changes.Everything:
		return leap
	case changes.Restored:
		var random [8]byte
		cryptorand.Read(random[:]) // never fails
		return leap + int64(binary.LittleEndian.Uint64(random[:])%farther)
	}
	return 1
}

// transaction runs work in a transaction, and again if it lost to a concurrent one. In a
// dry run the transaction is rolled back at its end.
func (s *Store) transaction(ctx context.Context, work func(tx *gorm.DB) error) error {
	if tx := s.together(ctx); tx != nil {
		return within(tx, work)
	}
	do := work
	if changes.IsDryRun(ctx) {
		do = func(tx *gorm.DB) error {
			if err := work(tx); err != nil {
				return err
			}
			return errDryRun
		}
	}
	err := s.changing.within(ctx, func() error {
		return again(ctx, func() error { return s.writing(ctx).Transaction(s.settled(do), s.dialect.tx) })
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

// errDryRun rolls a transaction back whose work is only tried.
var errDryRun = errors.New("a dry run")

// mostTries is how often work that loses to concurrent transactions is tried. The pause
// before a further try is random: at most firstPause, doubled each time, up to
// lastPause. All pauses together are at most a second and a half.
const (
	mostTries  = 12
	firstPause = 5 * time.Millisecond
	lastPause  = 200 * time.Millisecond
)

// again runs f, and repeats it while it loses to concurrent transactions or, for as
// long as busyTimeout, while another process is writing to SQLite's file. It stops when
// ctx ends.
func again(ctx context.Context, f func() error) error {
	begun := time.Now()
	err := f()
	if isLockTimeout(err) {
		// It has waited long already, so only one more try.
		err = f()
	}
	for tries, longest := 1, firstPause; tries < mostTries && (isConflict(err) || errors.Is(err, errAgain)); tries++ {
		// A random pause, because two transactions that lost to each other would meet
		// again.
		select {
		case <-time.After(rand.N(longest)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
		err, longest = f(), min(2*longest, lastPause)
	}
	for isBusy(err) && ctx.Err() == nil && time.Since(begun) < busyTimeout {
		// SQLite itself does not wait for every kind of busy.
		time.Sleep(5 * time.Millisecond)
		err = f()
	}
	if isBusy(err) && ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// ms converts a time to the form in which it is stored; at is its inverse. Both work
// for the zero time too.
func ms(t time.Time) int64  { return t.UnixMilli() }
func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// optionalMS is ms for columns in which NULL means the zero time.
func optionalMS(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	v := ms(t)
	return &v
}

func optionalAt(v *int64) time.Time {
	if v == nil {
		return time.Time{}
	}
	return at(*v)
}

// list converts a list to the form in which it is stored, which is JSON; unlist is its
// inverse and returns nil for an empty list.
func list(l []string) (string, error) {
	if l == nil {
		l = []string{}
	}
	b, err := json.Marshal(l)
	return string(b), err
}

func unlist(s string) ([]string, error) {
	var l []string
	if err := json.Unmarshal([]byte(s), &l); err != nil {
		return nil, errors.New("a list in the database is not JSON")
	}
	if len(l) == 0 {
		return nil, nil
	}
	return l, nil
}

// isText reports whether every engine can store s in a text column. PostgreSQL refuses
// NUL and invalid UTF-8; without this check, a client_id that someone made up would
// cause a database fault instead of "unknown client".
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// object converts optional fields to the form in which they are stored: JSON, or NULL
// if all are absent. unobject is its inverse.
func object(v any) (*string, error) {
	b, err := json.Marshal(v)
	s := string(b)
	if s == "{}" {
		return nil, err
	}
	return &s, err
}

// mergeObjects returns the optional fields to store when a record changes: its new
// ones, and also those in the row that this binary does not know. A newer binary may
// share the database, and such a field may make the record stricter, so it must not be
// lost.
func mergeObjects(stored, former, next *string) (*string, error) {
	var have, known, merged map[string]json.RawMessage
	if err := errors.Join(unobject(stored, &have), unobject(former, &known), unobject(next, &merged)); err != nil {
		return nil, err
	}
	for name, value := range have {
		if _, ok := known[name]; !ok {
			if merged == nil {
				merged = map[string]json.RawMessage{}
			}
			if _, ok := merged[name]; !ok {
				merged[name] = value
			}
		}
	}
	if len(merged) == 0 {
		return nil, nil
	}
	return object(merged)
}

func unobject(s *string, v any) error {
	if s == nil {
		return nil
	}
	if err := json.Unmarshal([]byte(*s), v); err != nil {
		return errors.New("an object in the database is not JSON")
	}
	return nil
}
