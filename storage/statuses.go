package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/lists"
	"github.com/ingam/ingam/config/limits"
)

// refColumns returns the columns in which a status.Ref is stored, NULL for none; refOf
// is its inverse.
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

// blockStands is the condition that the tokens of a block b may stand.
const blockStands = `b.client_epoch >= (SELECT c.epoch FROM clients AS c WHERE c.id = b.client_id AND c.disabled = FALSE)
		   AND b.server_epoch >= (SELECT v.epoch FROM server AS v WHERE v.id = 1)`

// StatusesSet implements lists.Store.
func (s *Store) StatusesSet(ctx context.Context, because []changes.Change) ([]lists.Run, error) {
	const op = "read which statuses are set"
	q := statusQuery{s: s, ctx: ctx}
	if because == nil {
		err := errors.Join(q.lists(),
			// Lists from before the last cut of everything are set completely
			// elsewhere.
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

// StatusOwner returns whose tokens refer to a place in a status list: the client of the
// block, or the grant. Returns indices.ErrNoOwner if there is neither. It searches all
// grants, so it is for the command line only.
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
		err = refuse(indices.ErrNoOwner)
	}
	if err != nil {
		return "", "", answer(op, "", err)
	}
	return found[0].ClientID, found[0].GrantID, nil
}

// StatusesClear implements lists.Store.
func (s *Store) StatusesClear(ctx context.Context, clients []string) ([]lists.Run, error) {
	q := statusQuery{s: s, ctx: ctx}
	err := errors.Join(q.grants(0, "g.client_id IN ?", clients), q.blocks(0, "b.client_id IN ?", clients))
	return q.runs, fault("read which statuses are clear", err)
}

// statusQuery collects runs of indices, with the value of their bits: 1 for set, 0 for
// not set.
type statusQuery struct {
	s    *Store
	ctx  context.Context
	runs []lists.Run
}

// add adds a run of one index, unless the ref is zero.
func (q *statusQuery) add(r status.Ref) {
	if r.List != 0 {
		q.runs = append(q.runs, lists.Run{List: r.List, First: r.Index, Size: 1})
	}
}

// lists adds the complete lists from before the last cut of everything.
func (q *statusQuery) lists() error {
	var rows []statusListRow
	err := q.s.reading(q.ctx).Where("number < (SELECT epoch FROM server WHERE id = 1)").Find(&rows).Error
	for _, r := range rows {
		q.runs = append(q.runs, lists.Run{List: r.Number, Size: r.Size})
	}
	return err
}

// mayLive is how long after its last refresh a grant may have a token that has not
// expired. After that, nobody asks for its status. The two hours allow for clocks that
// are wrong.
const mayLive = limits.MaxAccessTTL + 2*time.Hour

func (q *statusQuery) grants(set int, where string, args ...any) error {
	// The joins say the same as grantStands, because a million subqueries take four
	// times as long. The time is read once and not for each row. Rows are read one by
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
		// NULL is read as 0, and no list has that number.
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
		q.runs = append(q.runs, lists.Run{List: r.List, First: r.First, Size: r.Size})
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
