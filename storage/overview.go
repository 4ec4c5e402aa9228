package storage

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
)

var _ administration.OverviewStore = (*Store)(nil)

// Schema implements administration.OverviewStore.
func (s *Store) Schema(ctx context.Context) (int64, error) {
	v, err := s.version(ctx)
	return v, fault("read the version of the schema", err)
}

// mostCounted and mostStanding are how many records are looked at to count them. Whether
// a session or a grant stands depends on other records, so each of them takes longer.
const (
	mostCounted  = 100_000
	mostStanding = 5_000
)

// Counts implements administration.OverviewStore. What sessions and grants depend on is
// looked up for each of them: a join would make PostgreSQL read all users.
func (s *Store) Counts(ctx context.Context, now time.Time) (c administration.Counts, err error) {
	at := ms(now)
	for _, of := range []struct {
		count     *administration.Count
		most      int
		statement string
		args      []any
	}{
		{&c.Clients, mostCounted, `SELECT COUNT(*) AS looked, COUNT(*) AS n, COUNT(CASE WHEN l.disabled = TRUE THEN 1 END) AS disabled
			FROM (SELECT disabled FROM clients LIMIT ?) AS l`, nil},
		{&c.APIs, mostCounted, `SELECT COUNT(*) AS looked, COUNT(*) AS n FROM (SELECT id FROM apis LIMIT ?) AS l`, nil},
		{&c.Users, mostCounted, `SELECT COUNT(*) AS looked, COUNT(*) AS n, COUNT(CASE WHEN l.disabled = TRUE THEN 1 END) AS disabled
			FROM (SELECT disabled FROM users LIMIT ?) AS l`, nil},
		{&c.Sessions, mostStanding, `SELECT COUNT(*) AS looked, COUNT(CASE WHEN EXISTS (
			       SELECT 1 FROM users AS u JOIN server AS v ON v.id = 1 WHERE u.id = l.user_id AND ` + sessionStands + `) THEN 1 END) AS n
			FROM (SELECT user_id, ended_ms, idle_ms, expires_ms, user_epoch, server_epoch FROM login_sessions
			       WHERE expires_ms > ? ORDER BY expires_ms DESC LIMIT ?) AS l`, []any{at, at, at}},
		{&c.Grants, mostStanding, `SELECT COUNT(*) AS looked, COUNT(CASE WHEN c.disabled = FALSE AND ` + grantHolds + ` THEN 1 END) AS n
			FROM (SELECT user_id, client_id, session_id, offline, revoked_ms, user_epoch, client_epoch, server_epoch,
			             expires_ms, generation, refresh_exp_ms, refresh_iat_ms FROM grants
			       WHERE expires_ms > ? ORDER BY expires_ms DESC LIMIT ?) AS g
			LEFT JOIN clients AS c ON c.id = g.client_id`, []any{at, at, ms(now.Add(-mayLive)), at}},
	} {
		var row struct {
			Looked   int `gorm:"column:looked"`
			N        int `gorm:"column:n"`
			Disabled int `gorm:"column:disabled"`
		}
		if err := s.reading(ctx).Raw(of.statement, append(of.args, of.most)...).Scan(&row).Error; err != nil {
			return c, fault("count what there is", err)
		}
		*of.count = administration.Count{N: row.N, Disabled: row.Disabled, More: row.Looked == of.most}
	}
	return c, nil
}

// AuditMoments implements administration.OverviewStore.
func (s *Store) AuditMoments(ctx context.Context, of audit.Action, since time.Time, most int) (moments []audit.Moment, more bool, err error) {
	const op = "count events"
	q := audit.Query{Action: of, NewestFirst: true}
	for len(moments) < most {
		var rows []auditRow
		if err := s.eventsOf(ctx, q).Select("id", "at_ms", "details").Limit(min(2*wholeAtOnce, most-len(moments))).Find(&rows).Error; err != nil {
			return nil, false, fault(op, err)
		}
		for _, r := range rows {
			if r.AtMS < ms(since) {
				return moments, false, nil
			}
			times, err := r.times()
			if err != nil {
				return nil, false, fault(op, err)
			}
			moments = append(moments, audit.Moment{At: at(r.AtMS), Times: times})
		}
		if len(rows) < 2*wholeAtOnce {
			break
		}
		q = q.Goes(rows[len(rows)-1].ID)
	}
	return moments, len(moments) == most, nil
}

// times returns how many times what an event tells of was done: events of refused sign-ins
// say so, others tell of one.
func (r auditRow) times() (int, error) {
	var details struct {
		Count string `json:"count"`
	}
	if err := json.Unmarshal([]byte(r.Details), &details); err != nil {
		return 0, errors.New("the details of an audit event are not JSON")
	}
	if n, err := strconv.Atoi(details.Count); err == nil && n > 0 {
		return n, nil
	}
	return 1, nil
}
