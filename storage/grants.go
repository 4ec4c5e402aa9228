package storage

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/grants"
	"github.com/ingam/ingam/authz/permission"
	"github.com/ingam/ingam/authz/status"
)

// listPermissions converts permissions to the JSON that is stored; nil, for a grant
// that recorded none, becomes NULL.
func listPermissions(all []permission.Permission) (*string, error) {
	if all == nil {
		return nil, nil
	}
	s, err := list(permission.Texts(all))
	return &s, err
}

func unlistPermissions(s *string) ([]permission.Permission, error) {
	if s == nil {
		return nil, nil
	}
	texts, err := unlist(*s)
	return permission.ParseAll(append([]string{}, texts...)), err
}

type grantRow struct {
	ID        string `gorm:"column:id;primaryKey"`
	ClientID  string `gorm:"column:client_id;not null"`
	UserID    string `gorm:"column:user_id;not null"`
	SessionID string `gorm:"column:session_id;not null"`
	// Scopes, Audiences, AMR and Permissions are JSON lists.
	Scopes         string `gorm:"column:scopes;not null"`
	Audiences      string `gorm:"column:audiences;not null"`
	AuthMS         int64  `gorm:"column:auth_ms;not null"`
	AMR            string `gorm:"column:amr;not null"`
	ACR            string `gorm:"column:acr;not null"`
	Offline        bool   `gorm:"column:offline;not null"`
	UserEpoch      int64  `gorm:"column:user_epoch;not null"`
	ClientEpoch    int64  `gorm:"column:client_epoch;not null"`
	ServerEpoch    int64  `gorm:"column:server_epoch;not null"`
	CreatedMS      int64  `gorm:"column:created_ms;not null"`
	ExpiresMS      int64  `gorm:"column:expires_ms;not null"`
	Generation     int64  `gorm:"column:generation;not null"`
	RotatedMS      int64  `gorm:"column:rotated_ms;not null"`
	RefreshIatMS   int64  `gorm:"column:refresh_iat_ms;not null"`
	RefreshExpMS   int64  `gorm:"column:refresh_exp_ms;not null"`
	RefreshKID     string `gorm:"column:refresh_kid;not null"`
	RefreshVersion int64  `gorm:"column:refresh_version;not null"`
	RevokedMS      *int64 `gorm:"column:revoked_ms"`
	RevokedWhy     string `gorm:"column:revoked_why;not null"`
	StatusList     *int64 `gorm:"column:status_list"`
	StatusIndex    *int64 `gorm:"column:status_index"`
	FormerList     *int64 `gorm:"column:former_list"`
	FormerIndex    *int64 `gorm:"column:former_index"`

	Permissions *string `gorm:"column:permissions"`
}

func (grantRow) TableName() string { return "grants" }

func (r grantRow) grant() (grants.Grant, error) {
	scopes, err1 := unlist(r.Scopes)
	audiences, err2 := unlist(r.Audiences)
	methods, err3 := unlist(r.AMR)
	permissions, err4 := unlistPermissions(r.Permissions)
	return grants.Grant{
		ID: r.ID, ClientID: r.ClientID, UserID: r.UserID, SessionID: r.SessionID, Scopes: scopes, Audiences: audiences, Permissions: permissions,
		AuthenticatedAt: at(r.AuthMS), Methods: methods, ContextClass: r.ACR, Offline: r.Offline,
		UserEpoch: changes.Number(r.UserEpoch), ClientEpoch: changes.Number(r.ClientEpoch), ServerEpoch: changes.Number(r.ServerEpoch),
		CreatedAt: at(r.CreatedMS), ExpiresAt: at(r.ExpiresMS),
		Refresh: grants.Refresh{
			Generation: r.Generation, IssuedAt: at(r.RefreshIatMS), ExpiresAt: at(r.RefreshExpMS), KeyID: r.RefreshKID, Version: r.RefreshVersion,
		},
		RevokedAt: optionalAt(r.RevokedMS),
		Status:    refOf(r.StatusList, r.StatusIndex), Former: refOf(r.FormerList, r.FormerIndex),
	}, errors.Join(err1, err2, err3, err4)
}

// ownersStand is the condition that the owners of a code or grant g stand: its user and
// its client exist and are enabled, and no cut of the user, of the client or of
// everything came after g.
const ownersStand = userStands + `
		   AND g.client_epoch >= (SELECT c.epoch FROM clients AS c WHERE c.id = g.client_id AND c.disabled = FALSE)
		   AND ` + serverStands

const (
	userStands   = `g.user_epoch >= (SELECT u.epoch FROM users AS u WHERE u.id = g.user_id AND u.disabled = FALSE)`
	serverStands = `g.server_epoch >= (SELECT v.epoch FROM server AS v WHERE v.id = 1)`
)

const sessionEnded = `EXISTS (SELECT 1 FROM login_sessions AS l WHERE l.id = g.session_id AND l.ended_ms IS NOT NULL)`

// grantStands is the condition that a grant g stands, apart from its expiry.
const grantStands = `g.revoked_ms IS NULL AND ` + ownersStand + `
		   AND ` + outlives

const outlives = `(g.offline = TRUE OR NOT ` + sessionEnded + `)`

// grantColumns are the columns of a new grant; grantValues returns the values in the
// same order.
const grantColumns = `id, client_id, user_id, session_id, scopes, audiences, permissions, auth_ms, amr, acr, offline,
			                    user_epoch, client_epoch, server_epoch, created_ms, expires_ms,
			                    generation, refresh_iat_ms, refresh_exp_ms, refresh_kid, refresh_version, revoked_why,
			                    status_list, status_index, rotated_ms`

// beginning returns the placeholders for grantColumns; the last value is the database's
// clock.
func (s *Store) beginning() string { return strings.Repeat("?, ", 24) + s.dialect.now }

func grantValues(g grants.Grant) ([]any, error) {
	scopes, err1 := list(g.Scopes)
	audiences, err2 := list(g.Audiences)
	methods, err3 := list(g.Methods)
	permissions, err4 := listPermissions(g.Permissions)
	statusList, statusIndex := refColumns(g.Status)
	return []any{
		g.ID, g.ClientID, g.UserID, g.SessionID, scopes, audiences, permissions, ms(g.AuthenticatedAt), methods, g.ContextClass, g.Offline,
		int64(g.UserEpoch), int64(g.ClientEpoch), int64(g.ServerEpoch), ms(g.CreatedAt), ms(g.ExpiresAt),
		g.Refresh.Generation, ms(g.Refresh.IssuedAt), ms(g.Refresh.ExpiresAt), g.Refresh.KeyID, g.Refresh.Version, "",
		statusList, statusIndex,
	}, errors.Join(err1, err2, err3, err4)
}

// grantable is the FROM and WHERE that find a row if a grant from a login session to a
// client may begin. Its parameters are the ids of client and session, in that order,
// and the time, twice.
const grantable = sessionsWithOwners + ` JOIN clients AS c ON c.id = ?
			 WHERE l.id = ? AND c.disabled = FALSE AND ` + sessionStands

// Epochs implements grants.Store.
func (s *Store) Epochs(ctx context.Context, session, client string, now time.Time) (grants.Epochs, error) {
	const op = "read the epochs that a grant begins under"
	var rows []struct{ UserEpoch, ClientEpoch, ServerEpoch int64 }
	err := s.reading(ctx).Raw("SELECT l.user_epoch AS user_epoch, c.epoch AS client_epoch, v.epoch AS server_epoch FROM "+grantable,
		client, session, ms(now), ms(now)).Scan(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(grants.ErrNotFound)
	}
	if err != nil {
		return grants.Epochs{}, answer(op, "", err)
	}
	return grants.Epochs{User: changes.Number(rows[0].UserEpoch), Client: changes.Number(rows[0].ClientEpoch), Server: changes.Number(rows[0].ServerEpoch)}, nil
}

// BeginGrant implements grants.Store.
func (s *Store) BeginGrant(ctx context.Context, g grants.Grant, now time.Time) error {
	const op = "begin a grant"
	values, err := grantValues(g)
	if err != nil {
		return fault(op, err)
	}
	values = append(values, g.ClientID, g.SessionID, ms(now), ms(now), g.UserID, int64(g.UserEpoch), int64(g.ClientEpoch), int64(g.ServerEpoch))
	err = s.several(ctx, func(tx *gorm.DB) error {
		inserted := tx.Exec(`
			INSERT INTO grants (`+grantColumns+`) SELECT `+s.beginning()+` FROM `+grantable+`
			   AND u.id = ? AND u.epoch <= ? AND c.epoch <= ? AND v.epoch <= ?`, values...)
		if inserted.Error == nil && inserted.RowsAffected == 0 {
			return refuse(grants.ErrNotFound)
		}
		if inserted.Error != nil {
			return inserted.Error
		}
		return createEvent(ctx, tx, g.Begun())
	})
	return answer(op, "", err)
}

// standingRow is a grant and whether it stands, as grantStandingColumns select it.
type standingRow struct {
	Grant        grantRow `gorm:"embedded"`
	Stands       bool     `gorm:"column:stands"`
	SessionEnded bool     `gorm:"column:session_ended"`
	AgeMS        int64    `gorm:"column:age_ms"`
}

// columns returns where the columns of grantStandingColumns go.
func (r *standingRow) columns() []any {
	g := &r.Grant
	return []any{
		&g.ID, &g.ClientID, &g.UserID, &g.SessionID, &g.Scopes, &g.Audiences, &g.Permissions, &g.AuthMS, &g.AMR, &g.ACR, &g.Offline,
		&g.UserEpoch, &g.ClientEpoch, &g.ServerEpoch, &g.CreatedMS, &g.ExpiresMS,
		&g.Generation, &g.RefreshIatMS, &g.RefreshExpMS, &g.RefreshKID, &g.RefreshVersion, &g.RevokedMS,
		&g.StatusList, &g.StatusIndex, &g.FormerList, &g.FormerIndex, &r.Stands, &r.SessionEnded, &r.AgeMS,
	}
}

func (s *Store) grantStandingColumns() string {
	return `g.id, g.client_id, g.user_id, g.session_id, g.scopes, g.audiences, g.permissions, g.auth_ms, g.amr, g.acr, g.offline,
		       g.user_epoch, g.client_epoch, g.server_epoch, g.created_ms, g.expires_ms,
		       g.generation, g.refresh_iat_ms, g.refresh_exp_ms, g.refresh_kid, g.refresh_version, g.revoked_ms,
		       g.status_list, g.status_index, g.former_list, g.former_index,
		       CASE WHEN ` + grantStands + ` THEN TRUE ELSE FALSE END AS stands,
		       CASE WHEN ` + sessionEnded + ` THEN TRUE ELSE FALSE END AS session_ended, ` + s.dialect.now + ` - g.rotated_ms AS age_ms`
}

func (r standingRow) standing() (grants.Standing, error) {
	g, err := r.Grant.grant()
	return grants.Standing{Grant: g, Stands: r.Stands, SessionEnded: r.SessionEnded, Age: time.Duration(r.AgeMS) * time.Millisecond}, err
}

// Grant implements grants.Store.
func (s *Store) Grant(ctx context.Context, id string) (grants.Standing, error) {
	const op = "read grant"
	if !isText(id) {
		return grants.Standing{}, answer(op, "", refuse(grants.ErrNotFound))
	}
	var row standingRow
	err := s.row(ctx, s.frequent.grant, []any{id}, row.columns())
	if errors.Is(err, sql.ErrNoRows) {
		err = refuse(grants.ErrNotFound)
	}
	if err != nil {
		return grants.Standing{}, answer(op, "", err)
	}
	found, err := row.standing()
	return found, fault(op, err)
}

// rotateSQL is the statement of RotateGrant. %s is for the database's clock.
const rotateSQL = `
			UPDATE grants AS g
			   SET generation = ?, rotated_ms = %s, refresh_iat_ms = ?, refresh_exp_ms = ?, refresh_kid = ?, refresh_version = ?,
			       status_list = ?, status_index = ?, former_list = ?, former_index = ?
			 WHERE g.id = ? AND g.generation = ? AND g.refresh_exp_ms > ? AND g.expires_ms > ? AND ` + grantStands

// RotateGrant implements grants.Store.
func (s *Store) RotateGrant(ctx context.Context, id string, from int64, next grants.Refresh, ref, former status.Ref, now time.Time) error {
	statusList, statusIndex := refColumns(ref)
	formerList, formerIndex := refColumns(former)
	var rotated int64
	err := s.statement(ctx, func(db *gorm.DB) (err error) {
		rotated, err = exec(db, s.frequent.rotate,
			next.Generation, ms(next.IssuedAt), ms(next.ExpiresAt), next.KeyID, next.Version,
			statusList, statusIndex, formerList, formerIndex, id, from, ms(now), ms(now))
		return err
	})
	if err == nil && rotated == 0 {
		err = refuse(grants.ErrNotFound)
	}
	return answer("rotate a refresh token", "", err)
}

// RevokeGrant implements revocation.Store.
func (s *Store) RevokeGrant(ctx context.Context, id string, ev audit.Event) error {
	const op = "revoke grant"
	if !isText(id) {
		return answer(op, id, refuse(grants.ErrNotFound))
	}
	return s.change(ctx, op, changes.Grant, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		revoked := tx.Exec("UPDATE grants SET revoked_ms = ?, revoked_why = ? WHERE id = ? AND revoked_ms IS NULL", ms(ev.At), string(ev.Action), id)
		if revoked.Error != nil || revoked.RowsAffected == 1 {
			return revoked.Error
		}
		var n int64
		if err := tx.Model(&grantRow{}).Where("id = ?", id).Count(&n).Error; err != nil {
			return err
		}
		if n == 0 {
			return refuse(grants.ErrNotFound)
		}
		return errUnchanged
	})
}
