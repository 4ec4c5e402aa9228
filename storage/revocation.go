package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
)

type serverRow struct {
	ID int64 `gorm:"column:id;primaryKey"`
	// Epoch is the number of the last cut of everything.
	Epoch int64 `gorm:"column:epoch;not null"`
	// OldestSchema is the oldest schema version that a binary must know of to
	// use this database.
	OldestSchema int64 `gorm:"column:oldest_schema;not null"`
	// Issuer is the issuer that this database belongs to; NULL until a server has
	// started on it.
	Issuer *string `gorm:"column:issuer"`
}

func (serverRow) TableName() string { return "server" }

type revokedTokenRow struct {
	JTI       string `gorm:"column:jti;primaryKey"`
	ExpiresMS int64  `gorm:"column:expires_ms;not null"`
	// StatusList and StatusIndex are the place of the token in a status list, if it has
	// one.
	StatusList  *int64 `gorm:"column:status_list"`
	StatusIndex *int64 `gorm:"column:status_index"`
}

func (revokedTokenRow) TableName() string { return "revoked_tokens" }

// CutToken implements revocation.Store.
func (s *Store) CutToken(ctx context.Context, jti string, expires time.Time, ref status.Ref, ev audit.Event) error {
	row := revokedTokenRow{JTI: jti, ExpiresMS: ms(expires)}
	row.StatusList, row.StatusIndex = refColumns(ref)
	return s.change(ctx, "cut token", changes.Token, jti, ev, func(tx *gorm.DB, _ changes.Number) error {
		err := tx.Create(&row).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return errUnchanged
		}
		return err
	})
}

// CutClient implements revocation.Store.
func (s *Store) CutClient(ctx context.Context, id string, ev audit.Event) error {
	const op = "cut client"
	if !isText(id) {
		return answer(op, id, refuse(clients.ErrNotFound))
	}
	return s.change(ctx, op, changes.Client, id, ev, func(tx *gorm.DB, n changes.Number) error {
		cut := tx.Exec("UPDATE clients SET epoch = ? WHERE id = ?", int64(n), id)
		if cut.Error == nil && cut.RowsAffected == 0 {
			return refuse(clients.ErrNotFound)
		}
		return cut.Error
	})
}

// CutEverything implements revocation.Store.
func (s *Store) CutEverything(ctx context.Context, ev audit.Event) error {
	return s.change(ctx, "cut everything", changes.Everything, "", ev, func(tx *gorm.DB, n changes.Number) error {
		cut := tx.Exec("UPDATE server SET epoch = ? WHERE id = 1", int64(n))
		if cut.Error == nil && cut.RowsAffected == 0 {
			return errors.New("the server has no row")
		}
		if cut.Error != nil {
			return cut.Error
		}
		// All lists from before are set completely, including indices that no row here
		// names: a restored database does not know every index that was given out.
		return tx.Exec("UPDATE status_lists SET closes_ms = " + s.dialect.now + " WHERE closes_ms IS NULL OR closes_ms > " + s.dialect.now).Error
	})
}

// Restored implements revocation.Store.
func (s *Store) Restored(ctx context.Context, ev audit.Event) error {
	return s.change(ctx, "note the restore", changes.Restored, "", ev, func(tx *gorm.DB, _ changes.Number) error {
		// Mark the lists as full instead of closing them now. Grants move to another
		// list when theirs closes, and remember only one former list, so a second close
		// soon after would lose it. Full lists close in due time.
		return tx.Exec("UPDATE status_lists SET next = size WHERE closes_ms IS NULL").Error
	})
}

// WouldEnd implements revocation.Store.
func (s *Store) WouldEnd(ctx context.Context, kind changes.Kind, subject string, now time.Time) (revocation.Ended, error) {
	const op = "count what a cut would end"
	of, ok := map[changes.Kind][2]string{
		changes.Grant: {"g.id = ?", "l.id = ?"}, changes.Session: {"g.session_id = ? AND g.offline = FALSE", "l.id = ?"},
		changes.User: {"g.user_id = ?", "l.user_id = ?"}, changes.Client: {"g.client_id = ?", ""}, changes.Everything: {"'' = ?", "'' = ?"},
		// No index has them: all live grants are looked at.
		changes.API: {"REPLACE(g.audiences, ?, '') <> g.audiences", ""},
	}[kind]
	if !ok || !isText(subject) {
		return revocation.Ended{}, nil
	}
	if kind == changes.API {
		quoted, err := json.Marshal(subject) // as list writes it
		if err != nil {
			return revocation.Ended{}, fault(op, err)
		}
		subject = string(quoted)
	}
	var row struct{ Grants, Clients, Users, Refreshed int64 }
	err := s.reading(ctx).Raw(`
		SELECT COUNT(*) AS grants, COUNT(DISTINCT g.client_id) AS clients, COUNT(DISTINCT g.user_id) AS users,
		       COALESCE(SUM(CASE WHEN g.rotated_ms > `+s.dialect.now+` - ? THEN 1 ELSE 0 END), 0) AS refreshed
		  FROM grants AS g WHERE g.expires_ms > ? AND `+grantStands+` AND `+of[0],
		revocation.Recently.Milliseconds(), ms(now), subject).Scan(&row).Error
	if err != nil {
		return revocation.Ended{}, fault(op, err)
	}
	ended := revocation.Ended{Grants: row.Grants, Clients: row.Clients, Users: row.Users, Refreshed: row.Refreshed}
	if kind == changes.Client || kind == changes.Grant || kind == changes.API {
		return ended, nil
	}
	err = s.reading(ctx).Raw(`
		SELECT COUNT(*) FROM login_sessions AS l JOIN users AS u ON u.id = l.user_id JOIN server AS v ON v.id = 1
		 WHERE `+sessionStands+` AND `+of[1], ms(now), ms(now), subject).Scan(&ended.Sessions).Error
	return ended, fault(op, err)
}

// ServerEpoch is of the interface that revocation.NewEpoch takes, and implements lists.Store.
func (s *Store) ServerEpoch(ctx context.Context) (changes.Number, error) {
	var row serverRow
	if err := s.reading(ctx).Where("id = 1").Take(&row).Error; err != nil {
		return 0, fault("read the server's epoch", err)
	}
	return changes.Number(row.Epoch), nil
}

// standingColumns are what Standing reads from the table server. Their parameters are a jti,
// a kid, twice, the kid of a key that sealed, which may be empty, twice, and a client id,
// twice, in that order. The first kid is that of a key or of a secret of an API. The client
// is read by subqueries, because SQLite plans a LEFT JOIN on a parameter anew each time,
// which takes longer than running it.
const standingColumns = `
		       EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?),
		       (EXISTS (SELECT 1 FROM signing_keys WHERE kid = ? AND withdrawn_ms IS NULL) OR EXISTS (SELECT 1 FROM api_secrets WHERE kid = ?))
		       AND (? = '' OR EXISTS (SELECT 1 FROM signing_keys WHERE kid = ? AND withdrawn_ms IS NULL)),
		       (SELECT disabled FROM clients WHERE id = ?),
		       (SELECT epoch FROM clients WHERE id = ?),
		       epoch, (SELECT n FROM change_seq WHERE id = 1)`

// grantStanding are the further columns of Standing for a token with a grant: the
// recorded permissions, which are NULL unless the grant stands, whether its login session
// was ended, and the user's name. Its parameters are the grant, twice, and the user.
const grantStanding = `, (SELECT COALESCE(g.permissions, '') FROM grants AS g WHERE g.id = ? AND ` + grantStands + `),
		       EXISTS (SELECT 1 FROM grants AS g WHERE g.id = ? AND ` + sessionEnded + `), (SELECT username FROM users WHERE id = ?)`

// Standing implements revocation.Store.
func (s *Store) Standing(ctx context.Context, q revocation.Question) (revocation.Standing, error) {
	const op = "read a token's standing"
	var (
		st       revocation.Standing
		disabled sql.NullBool
		epoch    sql.NullInt64
		recorded sql.NullString
		username sql.NullString
	)
	client, kid, seal := askable(q.ClientID), askable(q.KeyID), askable(q.SealKeyID)
	statement, args := s.frequent.standing, []any{askable(q.JTI), kid, kid, seal, seal, client, client}
	found := []any{&st.TokenCut, &st.KeyStands, &disabled, &epoch, &st.ServerEpoch, &st.Number}
	if q.GrantID != "" {
		statement = s.frequent.standingOfGrant
		grant := askable(q.GrantID)
		args, found = append(args, grant, grant, askable(q.UserID)), append(found, &recorded, &st.SessionEnded, &username)
	}
	err := s.row(ctx, statement, args, found)
	if err != nil {
		return revocation.Standing{}, fault(op, err)
	}
	st.ClientFound = disabled.Valid && epoch.Valid
	st.ClientDisabled, st.ClientEpoch = disabled.Bool, changes.Number(epoch.Int64)
	st.Username = username.String
	if st.GrantStands = recorded.Valid; recorded.String != "" {
		st.Permissions, err = unlist(recorded.String)
		st.Permissions = append([]string{}, st.Permissions...) // an empty list is not nil
	}
	return st, fault(op, err)
}

// askable replaces an id that no record can have, because no engine could store it, by
// one that no record has. So the answer is "unknown" instead of a fault.
func askable(id string) string {
	if isText(id) {
		return id
	}
	return ""
}
