package storage

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
)

type statusListRow struct {
	Number   int64  `gorm:"column:number;primaryKey;autoIncrement:false"`
	Purpose  string `gorm:"column:purpose;not null"`
	LifeMS   int64  `gorm:"column:life_ms;not null"`
	Size     int64  `gorm:"column:size;not null"`
	Next     int64  `gorm:"column:next;not null"`
	OpenedMS int64  `gorm:"column:opened_ms;not null"`
	ClosesMS *int64 `gorm:"column:closes_ms"`
}

func (statusListRow) TableName() string { return "status_lists" }

func (r statusListRow) list() status.List {
	return status.List{
		Number: r.Number, Purpose: status.Purpose(r.Purpose), Life: time.Duration(r.LifeMS) * time.Millisecond,
		Size: r.Size, Next: r.Next, OpenedAt: at(r.OpenedMS), ClosesAt: optionalAt(r.ClosesMS),
	}
}

type statusBlockRow struct {
	List        int64  `gorm:"column:list;primaryKey;autoIncrement:false"`
	First       int64  `gorm:"column:first;primaryKey;autoIncrement:false"`
	Size        int64  `gorm:"column:size;not null"`
	ClientID    string `gorm:"column:client_id;not null"`
	ClientEpoch int64  `gorm:"column:client_epoch;not null"`
	ServerEpoch int64  `gorm:"column:server_epoch;not null"`
}

func (statusBlockRow) TableName() string { return "status_blocks" }

type listenerRow struct {
	ClientID string `gorm:"column:client_id;primaryKey"`
	// Name is the listener's, a slash, and what tells it from others of that name:
	// its instance or, if it has none, its id. Older servers write the name alone, and
	// keep one row for it.
	Name        string `gorm:"column:name;primaryKey"`
	ID          string `gorm:"column:id;not null"`
	ConnectedMS int64  `gorm:"column:connected_ms;not null"`
	SeenMS      int64  `gorm:"column:seen_ms;not null"`
	Acked       int64  `gorm:"column:acked;not null"`
}

func (listenerRow) TableName() string { return "status_listeners" }

// nameOf is the form in which a listener's name is stored, and listener its inverse.
func nameOf(l status.Listener) string { return l.Name + "/" + cmp.Or(l.Instance, l.ID) }

func (r listenerRow) listener() status.Listener {
	name, instance, _ := strings.Cut(r.Name, "/")
	if instance == r.ID {
		instance = ""
	}
	return status.Listener{
		ID: r.ID, ClientID: r.ClientID, Name: name, Instance: instance,
		ConnectedAt: at(r.ConnectedMS), SeenAt: at(r.SeenMS), Acknowledged: changes.Number(r.Acked),
	}
}

// refColumns is the form in which a ref is stored, and refOf its inverse: NULL
// is none.
func refColumns(r status.Ref) (list, index *int64) {
	if r.List == 0 {
		return nil, nil
	}
	return &r.List, &r.Index
}

func refOf(list, index *int64) status.Ref {
	if list == nil || index == nil {
		return status.Ref{}
	}
	return status.Ref{List: *list, Index: *index}
}

// StatusLists implements status.Store.
func (s *Store) StatusLists(ctx context.Context) ([]status.List, error) {
	var rows []statusListRow
	if err := s.reading(ctx).Order("number").Find(&rows).Error; err != nil {
		return nil, fault("list status lists", err)
	}
	lists := make([]status.List, len(rows))
	for i, r := range rows {
		lists[i] = r.list()
	}
	return lists, nil
}

const openListFor = "purpose = ? AND closes_ms IS NULL AND life_ms >= ? AND next + ? <= size"

// OpenStatusList implements status.Store. The change sequence's lock keeps two
// processes from opening one each.
func (s *Store) OpenStatusList(ctx context.Context, l status.List, block int64, now time.Time) error {
	ev := audit.Event{At: now, Actor: audit.Server, Action: audit.StatusListOpened, Details: map[string]string{"purpose": string(l.Purpose)}}
	return s.change(ctx, "open a status list", changes.StatusList, "", ev, func(tx *gorm.DB, n changes.Number) error {
		var open int64
		err := tx.Model(&statusListRow{}).Where(openListFor, string(l.Purpose), l.Life.Milliseconds(), block).Count(&open).Error
		if err != nil {
			return err
		}
		if open > 0 {
			return errUnchanged
		}
		return tx.Exec("INSERT INTO status_lists (number, purpose, life_ms, size, next, opened_ms) VALUES (?, ?, ?, ?, 0, "+s.dialect.now+")",
			int64(n), string(l.Purpose), l.Life.Milliseconds(), l.Size).Error
	})
}

// fullList is a list that has no room for a large block: what smaller ones could
// still use is not waited for.
const fullList = "(next + 16384 > size AND (size >= 32768 OR next * 2 > size))"

// CloseStatusLists implements status.Store.
func (s *Store) CloseStatusLists(ctx context.Context, p status.Purpose, after, longAgo time.Duration, now time.Time) error {
	full := "purpose = ? AND closes_ms IS NULL AND " + fullList + " AND opened_ms <= " + s.dialect.now + " - ?"
	// Asked before, so that it is rarely a change.
	var n int64
	err := s.reading(ctx).Model(&statusListRow{}).Where(full, string(p), longAgo.Milliseconds()).Count(&n).Error
	if err != nil || n == 0 {
		return fault("look for full status lists", err)
	}
	ev := audit.Event{At: now, Actor: audit.Server, Action: audit.StatusListClosed, Details: map[string]string{"purpose": string(p)}}
	return s.change(ctx, "close status lists", changes.StatusList, "", ev, func(tx *gorm.DB, _ changes.Number) error {
		var late int64
		err := tx.Model(&statusListRow{}).Where("purpose = ? AND closes_ms > "+s.dialect.now+" - ?", string(p), longAgo.Milliseconds()).Count(&late).Error
		if err != nil {
			return err
		}
		if late > 0 {
			return errUnchanged
		}
		closed := tx.Exec("UPDATE status_lists SET closes_ms = "+s.dialect.now+" + ? WHERE "+full, after.Milliseconds(), string(p), longAgo.Milliseconds())
		if closed.Error == nil && closed.RowsAffected == 0 {
			return errUnchanged
		}
		return closed.Error
	})
}

// TakeStatusBlock implements status.Store.
func (s *Store) TakeStatusBlock(ctx context.Context, p status.Purpose, life time.Duration, size int64, client string) (status.Block, error) {
	const op = "take status indices"
	if !isText(client) {
		return status.Block{}, answer(op, "", refuse(status.ErrNotFound))
	}
	var block status.Block
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var open []statusListRow
		err := tx.Where(openListFor, string(p), life.Milliseconds(), size).Order("life_ms, number").Limit(1).Find(&open).Error
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return refuse(status.ErrNoRoom)
		}
		block = status.Block{List: open[0].Number, Size: size, ClientID: client}
		taken := tx.Exec("UPDATE status_lists SET next = next + ? WHERE number = ? AND closes_ms IS NULL AND next + ? <= size", size, block.List, size)
		if taken.Error == nil && taken.RowsAffected == 0 {
			return errAgain
		}
		if taken.Error != nil {
			return taken.Error
		}
		// The row is locked by now: this is what was set just there.
		if err := tx.Raw("SELECT next FROM status_lists WHERE number = ?", block.List).Scan(&block.First).Error; err != nil {
			return err
		}
		block.First -= size
		if client == "" {
			return nil
		}
		noted := tx.Exec(`
			INSERT INTO status_blocks (list, first, size, client_id, client_epoch, server_epoch)
			SELECT ?, ?, ?, c.id, c.epoch, v.epoch
			  FROM clients AS c JOIN server AS v ON v.id = 1 WHERE c.id = ? AND c.disabled = FALSE`, block.List, block.First, size, client)
		if noted.Error == nil && noted.RowsAffected == 0 {
			return refuse(status.ErrNotFound)
		}
		return noted.Error
	})
	if errors.Is(err, errAgain) {
		err = refuse(status.ErrNoRoom)
	}
	if err != nil || client == "" {
		return block, answer(op, "", err)
	}
	// A cut that was being made meanwhile may not have seen the block: then its
	// epoch is behind now.
	var rows []statusBlockRow
	err = s.writing(ctx).Raw("SELECT b.* FROM status_blocks AS b WHERE b.list = ? AND b.first = ? AND "+blockStands, block.List, block.First).Scan(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(status.ErrNotFound)
	}
	if err != nil {
		return status.Block{}, answer(op, "", err)
	}
	block.Epoch = changes.Number(max(rows[0].ClientEpoch, rows[0].ServerEpoch))
	return block, nil
}

// blockStands is whether the tokens of a block b may stand.
const blockStands = `b.client_epoch >= (SELECT c.epoch FROM clients AS c WHERE c.id = b.client_id AND c.disabled = FALSE)
		   AND b.server_epoch >= (SELECT v.epoch FROM server AS v WHERE v.id = 1)`

// StatusesSet implements status.Store.
func (s *Store) StatusesSet(ctx context.Context, because []changes.Change) ([]status.Run, error) {
	const op = "read which statuses are set"
	q := statusQuery{s: s, ctx: ctx}
	if because == nil {
		err := errors.Join(q.lists(),
			// Older ones are set from end to end.
			q.grants(1, "g.status_list >= (SELECT v.epoch FROM server AS v WHERE v.id = 1)"),
			q.blocks(1, "b.list >= (SELECT v.epoch FROM server AS v WHERE v.id = 1)"), q.tokens("1 = 1"))
		return q.runs, fault(op, err)
	}
	subjects := map[changes.Kind][]string{}
	for _, ch := range because {
		subjects[ch.Kind] = append(subjects[ch.Kind], ch.Subject)
	}
	for _, kind := range changes.Cuts {
		of := subjects[kind]
		if len(of) == 0 {
			continue
		}
		var err error
		switch kind {
		case changes.User:
			err = q.grants(1, "g.user_id IN ?", of)
		case changes.Session:
			err = q.grants(1, "g.session_id IN ?", of)
		case changes.Grant:
			err = q.grants(1, "g.id IN ?", of)
		case changes.Client:
			err = errors.Join(q.grants(1, "g.client_id IN ?", of), q.blocks(1, "b.client_id IN ?", of))
		case changes.Token:
			err = q.tokens("jti IN ?", of)
		case changes.Everything:
			err = q.lists()
		}
		if err != nil {
			return nil, fault(op, err)
		}
	}
	return q.runs, nil
}

// StatusOwner returns whose tokens refer to a place in a status list: those of a client
// itself, or those of a grant. Returns status.ErrNotFound for one that nobody has. It
// looks at all grants, for the command line.
func (s *Store) StatusOwner(ctx context.Context, ref status.Ref) (client, grant string, err error) {
	const op = "find whose a status is"
	var found []struct {
		ClientID string `gorm:"column:client_id"`
		GrantID  string `gorm:"column:grant_id"`
	}
	err = s.reading(ctx).Raw(`
		SELECT b.client_id, '' AS grant_id FROM status_blocks AS b WHERE b.list = ? AND b.first <= ? AND b.first + b.size > ? AND b.client_id <> ''
		UNION ALL
		SELECT g.client_id, g.id AS grant_id FROM grants AS g
		 WHERE g.status_list = ? AND g.status_index = ? OR g.former_list = ? AND g.former_index = ?`,
		ref.List, ref.Index, ref.Index, ref.List, ref.Index, ref.List, ref.Index).Scan(&found).Error
	if err == nil && len(found) == 0 {
		err = refuse(status.ErrNotFound)
	}
	if err != nil {
		return "", "", answer(op, "", err)
	}
	return found[0].ClientID, found[0].GrantID, nil
}

// StatusesClear implements status.Store.
func (s *Store) StatusesClear(ctx context.Context, clients []string) ([]status.Run, error) {
	q := statusQuery{s: s, ctx: ctx}
	err := errors.Join(q.grants(0, "g.client_id IN ?", clients), q.blocks(0, "b.client_id IN ?", clients))
	return q.runs, fault("read which statuses are clear", err)
}

// statusQuery gathers runs of indices: those that are set (1) or are not (0).
type statusQuery struct {
	s    *Store
	ctx  context.Context
	runs []status.Run
}

// add adds a run of one, but for the zero ref.
func (q *statusQuery) add(r status.Ref) {
	if r.List != 0 {
		q.runs = append(q.runs, status.Run{List: r.List, First: r.Index, Size: 1})
	}
}

// lists are those from before the last cut of everything.
func (q *statusQuery) lists() error {
	var rows []statusListRow
	err := q.s.reading(q.ctx).Where("number < (SELECT epoch FROM server WHERE id = 1)").Find(&rows).Error
	for _, r := range rows {
		q.runs = append(q.runs, status.Run{List: r.Number, Size: r.Size})
	}
	return err
}

// mayLive is for how long after its last refresh a grant may have a token that
// has not expired: after that, nobody asks for its status. (The longest life of a
// token is 24 hours.)
const mayLive = 26 * time.Hour

func (q *statusQuery) grants(set int, where string, args ...any) error {
	// Joined, which says the same as grantStands: a million subqueries take four times
	// as long. The time is asked once and not for each row, and rows are read one by
	// one, since there may be a million.
	rows, err := q.s.reading(q.ctx).Raw(`
		SELECT g.status_list, g.status_index, g.former_list, g.former_index
		  FROM grants AS g JOIN server AS v ON v.id = 1
		  LEFT JOIN users AS u ON u.id = g.user_id AND u.disabled = FALSE
		  LEFT JOIN clients AS c ON c.id = g.client_id AND c.disabled = FALSE
		  LEFT JOIN login_sessions AS l ON l.id = g.session_id AND l.ended_ms IS NOT NULL
		 WHERE g.status_list IS NOT NULL AND g.rotated_ms > (SELECT `+q.s.dialect.now+` - ?) AND `+where+`
		   AND CASE WHEN g.revoked_ms IS NULL AND g.user_epoch >= u.epoch AND g.client_epoch >= c.epoch AND g.server_epoch >= v.epoch
		                 AND (g.offline = TRUE OR l.id IS NULL) THEN 0 ELSE 1 END = ?`, append(append([]any{mayLive.Milliseconds()}, args...), set)...).Rows()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var list, index, formerList, formerIndex sql.NullInt64
		if err := rows.Scan(&list, &index, &formerList, &formerIndex); err != nil {
			return err
		}
		// NULL is 0, and no list has that number.
		q.add(status.Ref{List: list.Int64, Index: index.Int64})
		q.add(status.Ref{List: formerList.Int64, Index: formerIndex.Int64})
	}
	return rows.Err()
}

func (q *statusQuery) blocks(set int, where string, args ...any) error {
	var rows []statusBlockRow
	err := q.s.reading(q.ctx).Raw(`
		SELECT b.* FROM status_blocks AS b WHERE `+where+` AND CASE WHEN `+blockStands+` THEN 0 ELSE 1 END = ?`, append(args, set)...).Scan(&rows).Error
	for _, r := range rows {
		q.runs = append(q.runs, status.Run{List: r.List, First: r.First, Size: r.Size})
	}
	return err
}

func (q *statusQuery) tokens(where string, args ...any) error {
	var rows []revokedTokenRow
	err := q.s.reading(q.ctx).Where("status_list IS NOT NULL AND "+where, args...).Find(&rows).Error
	for _, r := range rows {
		q.add(refOf(r.StatusList, r.StatusIndex))
	}
	return err
}

// SaveListener implements status.Store.
func (s *Store) SaveListener(ctx context.Context, l status.Listener, resumes bool) error {
	return answer("save a listener", "", s.transaction(ctx, func(tx *gorm.DB) error {
		var others []struct {
			Row    listenerRow `gorm:"embedded"`
			Unseen bool        `gorm:"column:unseen"`
		}
		err := tx.Raw("SELECT l.*, l.seen_ms <= "+s.dialect.now+" - ? AS unseen FROM status_listeners AS l WHERE l.client_id = ? ORDER BY l.acked DESC, l.connected_ms, l.id",
			status.Unseen.Milliseconds(), l.ClientID).Scan(&others).Error
		if err != nil {
			return err
		}
		name := nameOf(l)
		// What is tried again begins anew: it still resumes.
		stay, leave, replaced := 0, []string(nil), false
		for _, o := range others {
			former := o.Row.listener()
			switch {
			case o.Row.Name == name:
				return tx.Exec("UPDATE status_listeners SET id = ?, connected_ms = "+s.dialect.now+", seen_ms = "+s.dialect.now+", acked = ? WHERE client_id = ? AND name = ?",
					l.ID, int64(l.Acknowledged), l.ClientID, name).Error
			case o.Unseen:
				leave = append(leave, former.ID)
			case resumes && !replaced && l.Instance == "" && former.Instance == "" && former.Name == l.Name:
				leave, replaced = append(leave, former.ID), true // it takes one place
			default:
				stay++
			}
		}
		if stay >= status.MostListeners {
			return refuse(status.ErrTooManyListeners)
		}
		if len(leave) > 0 {
			if err := tx.Where("id IN ?", leave).Delete(&listenerRow{}).Error; err != nil {
				return err
			}
		}
		err = tx.Exec("INSERT INTO status_listeners (client_id, name, id, connected_ms, seen_ms, acked) VALUES (?, ?, ?, "+s.dialect.now+", "+s.dialect.now+", ?)",
			l.ClientID, name, l.ID, int64(l.Acknowledged)).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return errAgain
		}
		return err
	}))
}

// ResetListener implements status.Store.
func (s *Store) ResetListener(ctx context.Context, id string) error {
	return s.ofListener(ctx, "reset a listener", "UPDATE status_listeners SET acked = 0, seen_ms = "+s.dialect.now+" WHERE id = ?", []any{id}, "id = ?", id)
}

// RemoveListener implements status.Store.
func (s *Store) RemoveListener(ctx context.Context, id, client string) error {
	const op = "remove a listener"
	if !isText(id) || !isText(client) {
		return answer(op, "", refuse(status.ErrNoListener))
	}
	var removed *gorm.DB
	err := s.statement(ctx, func() error {
		removed = s.writing(ctx).Where("id = ? AND client_id = ?", id, client).Delete(&listenerRow{})
		return removed.Error
	})
	if err == nil && removed.RowsAffected == 0 {
		err = refuse(status.ErrNoListener)
	}
	return answer(op, "", err)
}

// SeeListeners implements status.Store.
func (s *Store) SeeListeners(ctx context.Context, ids []string) (gone []string, err error) {
	if len(ids) == 0 {
		return nil, nil
	}
	const op = "see listeners"
	err = s.statement(ctx, func() error {
		return s.writing(ctx).Exec("UPDATE status_listeners SET seen_ms = "+s.dialect.now+" WHERE id IN ?", ids).Error
	})
	if err != nil {
		return nil, fault(op, err)
	}
	var found []string
	if err := s.writing(ctx).Model(&listenerRow{}).Where("id IN ?", ids).Pluck("id", &found).Error; err != nil {
		return nil, fault(op, err)
	}
	known := make(map[string]bool, len(found))
	for _, id := range found {
		known[id] = true
	}
	for _, id := range ids {
		if !known[id] {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// Acknowledge implements status.Store.
func (s *Store) Acknowledge(ctx context.Context, id, client string, n changes.Number) error {
	const op = "acknowledge"
	if !isText(id) || !isText(client) || n < 0 {
		return answer(op, "", refuse(status.ErrNoListener))
	}
	return s.ofListener(ctx, op, `
		UPDATE status_listeners SET acked = CASE WHEN acked < ? THEN ? ELSE acked END, seen_ms = `+s.dialect.now+`
		 WHERE id = ? AND client_id = ?`, []any{int64(n), int64(n), id, client}, "id = ? AND client_id = ?", id, client)
}

// ofListener changes a listener, which where finds.
func (s *Store) ofListener(ctx context.Context, op, update string, args []any, where string, which ...any) error {
	var set *gorm.DB
	err := s.statement(ctx, func() error {
		set = s.writing(ctx).Exec(update, args...)
		return set.Error
	})
	if err != nil || set.RowsAffected == 1 {
		return answer(op, "", err)
	}
	// MySQL reports a row set to what it was as not affected.
	var found int64
	err = s.writing(ctx).Model(&listenerRow{}).Where(where, which...).Count(&found).Error
	if err == nil && found == 0 {
		err = refuse(status.ErrNoListener)
	}
	return answer(op, "", err)
}

// Listeners implements status.Store.
func (s *Store) Listeners(ctx context.Context, within time.Duration) ([]status.Listener, error) {
	var rows []listenerRow
	err := s.reading(ctx).Where("seen_ms > "+s.dialect.now+" - ?", within.Milliseconds()).Order("client_id, name").Find(&rows).Error
	if err != nil {
		return nil, fault("list listeners", err)
	}
	all := make([]status.Listener, len(rows))
	for i, r := range rows {
		all[i] = r.listener()
	}
	return all, nil
}
