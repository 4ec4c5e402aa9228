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

// errAgain rolls a transaction back to try it once more: another one was
// faster.
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

// edit is change for work that finds out itself what there is to record: it reads
// a record, whose other editors wait until it is written, or come before.
func (s *Store) edit(ctx context.Context, op string, kind changes.Kind, subject string,
	work func(tx *gorm.DB, n changes.Number) (audit.Event, error),
) error {
	err := s.editAll(ctx, kind, func(tx *gorm.DB, n changes.Number) ([]edited, error) {
		ev, err := work(tx, n)
		return []edited{{subject, ev}}, err
	})
	return answer(op, subject, err)
}

// edited is a record that was changed, and the event about it.
type edited struct {
	subject string
	ev      audit.Event
}

// rowsAtOnce is how many rows one statement inserts, or names, at most.
const rowsAtOnce = 100

// editAll is edit for work that changes any number of records of a kind, all or
// none: each is a change with a number and an event of its own.
func (s *Store) editAll(ctx context.Context, kind changes.Kind, work func(tx *gorm.DB, n changes.Number) ([]edited, error)) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		// First, before any other lock: this is what puts changes in a line.
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
			// The row is locked: nobody has taken one in between.
			if _, err := s.dialect.takeNumber(tx, further); err != nil {
				return err
			}
		}
		rows, events := make([]changeRow, len(all)), make([]auditRow, len(all))
		for i, e := range all {
			mark := cryptorand.Text()
			rows[i] = changeRow{Number: n + int64(i), Kind: string(kind), Subject: e.subject, AtMS: ms(e.ev.At), Mark: &mark}
			if events[i], err = newAuditRow(e.ev); err != nil {
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

// note runs work in a transaction that records the audit event with it, for
// what no process keeps a copy of: it takes no number, and waits for no change.
func (s *Store) note(ctx context.Context, op string, ev audit.Event, work func(tx *gorm.DB) error) error {
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		if err := work(tx); err != nil {
			return err
		}
		return createEvent(tx, ev)
	})
	return answer(op, "", err)
}

func createEvent(tx *gorm.DB, ev audit.Event) error {
	row, err := newAuditRow(ev)
	if err != nil {
		return err
	}
	return tx.Create(&row).Error
}

// leap is by how much a cut of everything raises the sequence, and farther how much more
// a restore does at most.
const (
	leap    = 1 << 32
	farther = 1 << 40
)

// step is by how much a change raises the sequence. A database that was
// restored would give numbers out again that tokens already carry, and no cut
// would reach these until it had caught up. A cut of everything goes beyond
// whatever may have been lost, and so does a restore: by a random step, because one
// backup can be restored twice, and each time go on. (Numbers stay below 2^53, which
// every reader of JSON takes exactly, for some thousand restores.)
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

// transaction runs work in one, again if it had to give way to others.
func (s *Store) transaction(ctx context.Context, work func(tx *gorm.DB) error) error {
	return s.changing.within(ctx, func() error {
		return again(ctx, func() error { return s.writing(ctx).Transaction(s.settled(work), s.dialect.tx) })
	})
}

// mostTries is how often what gave way to others is tried, and the pauses before it
// is tried again are at most firstPause, twice as long each time, up to lastPause. All
// together they are a second and a half at most.
const (
	mostTries  = 12
	firstPause = 5 * time.Millisecond
	lastPause  = 200 * time.Millisecond
)

// again runs f again while it gives way to others; and while another process is writing
// to SQLite's file, for as long as busyTimeout. It does so within the time of ctx.
func again(ctx context.Context, f func() error) error {
	begun := time.Now()
	err := f()
	if isLockTimeout(err) {
		// It has waited long: once more, and no more.
		err = f()
	}
	for tries, longest := 1, firstPause; tries < mostTries && (isConflict(err) || errors.Is(err, errAgain)); tries++ {
		// For a random time: two that gave way to each other would meet again.
		select {
		case <-time.After(rand.N(longest)):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
		err, longest = f(), min(2*longest, lastPause)
	}
	for isBusy(err) && ctx.Err() == nil && time.Since(begun) < busyTimeout {
		// Not every kind of busy is waited for by SQLite itself.
		time.Sleep(5 * time.Millisecond)
		err = f()
	}
	if isBusy(err) && ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// ms is the form in which times are stored, and at its inverse. They hold for
// the zero time too.
func ms(t time.Time) int64  { return t.UnixMilli() }
func at(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// optionalMS is for columns in which NULL is the zero time.
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

// list is the form in which lists are stored, and unlist its inverse: JSON, an
// empty one being nil.
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

// isText reports whether every engine can store s in a column of text.
// PostgreSQL refuses NUL and what is not UTF-8, so to ask it for a client_id
// that someone made up would be a fault of the database instead of a no.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, 0)
}

// object is the form in which optional fields are stored, and unobject its
// inverse: JSON, NULL being an empty one.
func object(v any) (*string, error) {
	b, err := json.Marshal(v)
	s := string(b)
	if s == "{}" {
		return nil, err
	}
	return &s, err
}

// mergeObjects returns the optional fields of a record that is changed: those that
// it gets, beside those stored that were none of its former ones because this
// binary does not know them. A newer one shares the database, and may have been told
// to be stricter.
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
