package storage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
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

// StatusLists implements lists.Store.
func (s *Store) StatusLists(ctx context.Context) ([]status.List, error) {
	var rows []statusListRow
	if err := s.reading(ctx).Order("number").Find(&rows).Error; err != nil {
		return nil, fault("list status lists", err)
	}
	all := make([]status.List, len(rows))
	for i, r := range rows {
		all[i] = r.list()
	}
	return all, nil
}

const openListFor = "purpose = ? AND closes_ms IS NULL AND life_ms >= ? AND next + ? <= size"

// OpenStatusList implements indices.Store. The lock on the change sequence keeps two
// processes from opening a list each.
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

// fullList is the condition that a list has no room for the largest block. What smaller
// blocks could still use is given up. A list that is smaller than two such blocks is
// full only when half of it is used.
var fullList = fmt.Sprintf("(next + %d > size AND (size >= %d OR next * 2 > size))", indices.LargestBlock, 2*indices.LargestBlock)

// CloseStatusLists implements lists.Store.
func (s *Store) CloseStatusLists(ctx context.Context, p status.Purpose, after, longAgo time.Duration, now time.Time) error {
	full := "purpose = ? AND closes_ms IS NULL AND " + fullList + " AND opened_ms <= " + s.dialect.now + " - ?"
	// Check first, so that a change, which everyone waits for, is made only if it is
	// needed.
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

// TakeStatusBlock implements indices.Store.
func (s *Store) TakeStatusBlock(ctx context.Context, p status.Purpose, life time.Duration, size int64, client string) (indices.Block, error) {
	const op = "take status indices"
	if !isText(client) {
		return indices.Block{}, answer(op, "", refuse(indices.ErrNoOwner))
	}
	var block indices.Block
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		var open []statusListRow
		err := tx.Where(openListFor, string(p), life.Milliseconds(), size).Order("life_ms, number").Limit(1).Find(&open).Error
		if err != nil {
			return err
		}
		if len(open) == 0 {
			return refuse(indices.ErrNoRoom)
		}
		block = indices.Block{List: open[0].Number, Size: size, ClientID: client}
		taken := tx.Exec("UPDATE status_lists SET next = next + ? WHERE number = ? AND closes_ms IS NULL AND next + ? <= size", size, block.List, size)
		if taken.Error == nil && taken.RowsAffected == 0 {
			return errAgain
		}
		if taken.Error != nil {
			return taken.Error
		}
		// The UPDATE above has locked the row, so this reads what it set.
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
			return refuse(indices.ErrNoOwner)
		}
		return noted.Error
	})
	if errors.Is(err, errAgain) {
		err = refuse(indices.ErrNoRoom)
	}
	if err != nil || client == "" {
		return block, answer(op, "", err)
	}
	// A concurrent cut may not have seen the new block. In that case the block's epoch
	// is now behind.
	var rows []statusBlockRow
	err = s.writing(ctx).Raw("SELECT b.* FROM status_blocks AS b WHERE b.list = ? AND b.first = ? AND "+blockStands, block.List, block.First).Scan(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(indices.ErrNoOwner)
	}
	if err != nil {
		return indices.Block{}, answer(op, "", err)
	}
	block.Epoch = changes.Number(max(rows[0].ClientEpoch, rows[0].ServerEpoch))
	return block, nil
}
