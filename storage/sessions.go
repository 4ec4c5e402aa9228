package storage

import (
	"context"
	"iter"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/sessions"
)

type sessionRow struct {
	ID         string `gorm:"column:id;primaryKey"`
	SecretHash []byte `gorm:"column:secret_hash;not null"`
	DeviceHash []byte `gorm:"column:device_hash;not null"`
	UserID     string `gorm:"column:user_id;not null"`
	AuthMS     int64  `gorm:"column:auth_ms;not null"`
	// AMR is a JSON list.
	AMR         string `gorm:"column:amr;not null"`
	ACR         string `gorm:"column:acr;not null"`
	UserEpoch   int64  `gorm:"column:user_epoch;not null"`
	ServerEpoch int64  `gorm:"column:server_epoch;not null"`
	CreatedMS   int64  `gorm:"column:created_ms;not null"`
	SeenMS      int64  `gorm:"column:seen_ms;not null"`
	IdleMS      int64  `gorm:"column:idle_ms;not null"`
	ExpiresMS   int64  `gorm:"column:expires_ms;not null"`
	EndedMS     *int64 `gorm:"column:ended_ms"`
	Address     string `gorm:"column:address;not null"`
	UserAgent   string `gorm:"column:user_agent;not null"`
	ClientID    string `gorm:"column:client_id;not null"`
}

func (sessionRow) TableName() string { return "login_sessions" }

func (r sessionRow) session() (sessions.Session, error) {
	methods, err := unlist(r.AMR)
	return sessions.Session{
		ID: r.ID, UserID: r.UserID, AuthenticatedAt: at(r.AuthMS), Methods: methods, ContextClass: r.ACR,
		UserEpoch: changes.Number(r.UserEpoch), ServerEpoch: changes.Number(r.ServerEpoch),
		CreatedAt: at(r.CreatedMS), SeenAt: at(r.SeenMS), IdleAt: at(r.IdleMS), ExpiresAt: at(r.ExpiresMS),
		EndedAt: optionalAt(r.EndedMS), Address: r.Address, UserAgent: r.UserAgent, ClientID: r.ClientID,
	}, err
}

// sessionsWithOwners is the FROM clause that sessionStands needs.
const sessionsWithOwners = `login_sessions AS l JOIN users AS u ON u.id = l.user_id JOIN server AS v ON v.id = 1`

// sessionStands is the condition that a login session l, of the user u on the server v,
// stands. Its parameter is the time, twice.
const sessionStands = `l.ended_ms IS NULL AND l.idle_ms > ? AND l.expires_ms > ?
		   AND u.disabled = FALSE AND l.user_epoch >= u.epoch AND l.server_epoch >= v.epoch`

// BeginSession implements signin.Store.
func (s *Store) BeginSession(ctx context.Context, n sessions.Session, secret, device [32]byte, ev audit.Event) error {
	const op = "begin a login session"
	methods, err := list(n.Methods)
	if err != nil {
		return fault(op, err)
	}
	return s.note(ctx, op, ev, func(tx *gorm.DB) error {
		// The epoch is the one under which the password was checked: if a cut or a new
		// password came in between, the statement inserts nothing.
		inserted := tx.Exec(`
			INSERT INTO login_sessions (id, secret_hash, device_hash, user_id, auth_ms, amr, acr, user_epoch, server_epoch,
			                            created_ms, seen_ms, idle_ms, expires_ms, address, user_agent, client_id)
			SELECT ?, ?, ?, u.id, ?, ?, ?, u.epoch, v.epoch, ?, ?, ?, ?, ?, ?, ?
			  FROM users AS u, server AS v WHERE u.id = ? AND u.epoch = ? AND u.disabled = FALSE AND v.id = 1`,
			n.ID, secret[:], device[:], ms(n.AuthenticatedAt), methods, n.ContextClass,
			ms(n.CreatedAt), ms(n.SeenAt), ms(n.IdleAt), ms(n.ExpiresAt), printable(n.Address), printable(n.UserAgent), n.ClientID, n.UserID, int64(n.UserEpoch))
		if inserted.Error == nil && inserted.RowsAffected == 0 {
			return refuse(accounts.ErrNotFound)
		}
		return inserted.Error
	})
}

// RenewSession implements signin.Store.
func (s *Store) RenewSession(ctx context.Context, n sessions.Session, secret, device [32]byte, ev audit.Event) error {
	const op = "renew a login session"
	methods, err := list(n.Methods)
	if err != nil {
		return fault(op, err)
	}
	return s.note(ctx, op, ev, func(tx *gorm.DB) error {
		renewed := tx.Exec(`
			UPDATE login_sessions
			   SET secret_hash = ?, device_hash = ?, auth_ms = ?, amr = ?, acr = ?, seen_ms = ?, idle_ms = ?, expires_ms = ?, address = ?, user_agent = ?
			 WHERE id = ? AND user_id = ? AND ended_ms IS NULL AND user_epoch = ?
			   AND user_epoch >= (SELECT u.epoch FROM users AS u WHERE u.id = login_sessions.user_id AND u.disabled = FALSE)
			   AND server_epoch >= (SELECT v.epoch FROM server AS v WHERE v.id = 1)`,
			secret[:], device[:], ms(n.AuthenticatedAt), methods, n.ContextClass, ms(n.SeenAt), ms(n.IdleAt), ms(n.ExpiresAt),
			printable(n.Address), printable(n.UserAgent), n.ID, n.UserID, int64(n.UserEpoch))
		if renewed.Error == nil && renewed.RowsAffected == 0 {
			return refuse(sessions.ErrNotFound)
		}
		return renewed.Error
	})
}

// printable makes text that a browser sent fit to be stored.
func printable(s string) string {
	if !isText(s) {
		return ""
	}
	return strings.ToValidUTF8(s[:min(len(s), 512)], "")
}

// SessionBySecret implements sessions.Store.
func (s *Store) SessionBySecret(ctx context.Context, secret [32]byte, now time.Time) (sessions.Session, accounts.User, error) {
	const op = "read a login session"
	var rows []struct {
		Session sessionRow `gorm:"embedded;embeddedPrefix:l_"`
		User    userRow    `gorm:"embedded;embeddedPrefix:u_"`
	}
	err := s.reading(ctx).Raw(`
		SELECT l.id AS l_id, l.user_id AS l_user_id, l.auth_ms AS l_auth_ms, l.amr AS l_amr, l.acr AS l_acr,
		       l.user_epoch AS l_user_epoch, l.server_epoch AS l_server_epoch, l.created_ms AS l_created_ms, l.seen_ms AS l_seen_ms,
		       l.idle_ms AS l_idle_ms, l.expires_ms AS l_expires_ms, l.address AS l_address, l.user_agent AS l_user_agent, l.client_id AS l_client_id,
		       u.id AS u_id, u.username AS u_username, u.email AS u_email, u.roles AS u_roles, u.claims AS u_claims, u.email_verified AS u_email_verified,
		       u.disabled AS u_disabled, u.epoch AS u_epoch, u.created_ms AS u_created_ms
		  FROM `+sessionsWithOwners+`
		 WHERE l.secret_hash = ? AND `+sessionStands, secret[:], ms(now), ms(now)).Scan(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(sessions.ErrNotFound)
	}
	if err != nil {
		return sessions.Session{}, accounts.User{}, answer(op, "", err)
	}
	session, err := rows[0].Session.session()
	if err != nil {
		return sessions.Session{}, accounts.User{}, fault(op, err)
	}
	user, err := rows[0].User.user()
	return session, user, fault(op, err)
}

// TouchSession implements sessions.Store.
func (s *Store) TouchSession(ctx context.Context, id string, seen, idle time.Time) error {
	return fault("touch a login session", s.statement(ctx, func(db *gorm.DB) error {
		return db.Exec("UPDATE login_sessions SET seen_ms = ?, idle_ms = ? WHERE id = ? AND ended_ms IS NULL", ms(seen), ms(idle), id).Error
	}))
}

// Sessions implements sessions.Store.
func (s *Store) Sessions(ctx context.Context, user, first string, limit int, now time.Time) ([]sessions.Session, int, error) {
	const op = "list login sessions"
	var rows []struct {
		Session sessionRow `gorm:"embedded"`
		Total   int        `gorm:"column:total"`
	}
	err := s.reading(ctx).Raw(`
		SELECT l.*, COUNT(*) OVER () AS total
		  FROM `+sessionsWithOwners+`
		 WHERE l.user_id = ? AND `+sessionStands+`
		 ORDER BY CASE WHEN l.id = ? THEN 0 ELSE 1 END, l.created_ms DESC, l.id LIMIT ?`,
		user, ms(now), ms(now), first, limit).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, 0, fault(op, err)
	}
	all := make([]sessions.Session, len(rows))
	for i, r := range rows {
		var err error
		if all[i], err = r.Session.session(); err != nil {
			return nil, 0, fault(op, err)
		}
	}
	return all, rows[0].Total, nil
}

// ListSessions implements sessions.Store.
func (s *Store) ListSessions(ctx context.Context, q sessions.Query, now time.Time) iter.Seq2[sessions.Listed, error] {
	of := selection{table: "l", from: sessionsWithOwners, where: sessionStands, args: []any{ms(now), ms(now)}, limit: q.Limit}
	if q.UserID != "" {
		of.where, of.args = of.where+" AND l.user_id = ?", append(of.args, q.UserID)
	}
	if q.After.ID != "" {
		of.after = &sortKey{q.After.ID, ms(q.After.CreatedAt)}
	}
	return newest(ctx, s, "list login sessions", of, func(ids []string) ([]sessions.Listed, error) {
		var rows []struct {
			Session    sessionRow `gorm:"embedded"`
			Username   string     `gorm:"column:username"`
			ClientName string     `gorm:"column:client_name"`
		}
		err := s.reading(ctx).Raw(`
			SELECT l.*, u.username AS username, COALESCE(a.name, '') AS client_name
			  FROM login_sessions AS l JOIN users AS u ON u.id = l.user_id LEFT JOIN clients AS a ON a.id = l.client_id
			 WHERE l.id IN ? ORDER BY l.created_ms DESC, l.id`, ids).Scan(&rows).Error
		if err != nil {
			return nil, err
		}
		list := make([]sessions.Listed, len(rows))
		for i, r := range rows {
			if list[i].Session, err = r.Session.session(); err != nil {
				return nil, err
			}
			list[i].Username, list[i].ClientName = r.Username, r.ClientName
		}
		return list, nil
	})
}

// AppSessions implements signin.Store.
func (s *Store) AppSessions(ctx context.Context, client string, device [32]byte) ([]sessions.Session, error) {
	return s.sessionsWhere(ctx, "list an app's login sessions", "l.client_id = ? AND l.device_hash = ? AND l.ended_ms IS NULL", client, device[:])
}

// AppSession implements sessions.Store.
func (s *Store) AppSession(ctx context.Context, client, id string) (sessions.Session, error) {
	const op = "read an app's login session"
	found, err := s.sessionsWhere(ctx, op, "l.client_id = ? AND l.id = ? AND l.ended_ms IS NULL", client, id)
	if err == nil && len(found) == 0 {
		err = answer(op, "", refuse(sessions.ErrNotFound))
	}
	if err != nil {
		return sessions.Session{}, err
	}
	return found[0], nil
}

func (s *Store) sessionsWhere(ctx context.Context, op, condition string, args ...any) ([]sessions.Session, error) {
	var rows []sessionRow
	err := s.reading(ctx).Raw(`
		SELECT l.* FROM `+sessionsWithOwners+`
		 WHERE `+condition+` ORDER BY l.created_ms DESC, l.id`, args...).Scan(&rows).Error
	if err != nil {
		return nil, fault(op, err)
	}
	all := make([]sessions.Session, len(rows))
	for i, r := range rows {
		if all[i], err = r.session(); err != nil {
			return nil, fault(op, err)
		}
	}
	return all, nil
}

// KnownDevice implements signin.Store.
func (s *Store) KnownDevice(ctx context.Context, user string, device [32]byte) (bool, error) {
	var n int64
	err := s.reading(ctx).Model(&sessionRow{}).Where("device_hash = ? AND user_id = ?", device[:], user).Limit(1).Count(&n).Error
	return n > 0, fault("look for a device", err)
}

// SessionUser implements sessions.Store.
func (s *Store) SessionUser(ctx context.Context, id string) (string, error) {
	const op = "read a login session"
	if !isText(id) {
		return "", answer(op, "", refuse(sessions.ErrNotFound))
	}
	var rows []sessionRow
	err := s.reading(ctx).Select("user_id").Where("id = ?", id).Limit(1).Find(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(sessions.ErrNotFound)
	}
	if err != nil {
		return "", answer(op, "", err)
	}
	return rows[0].UserID, nil
}
