package storage

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/ingam/ingam/authz/consents"
	"github.com/ingam/ingam/authz/permission"
)

// grantHolds is the condition that a grant g of the client c gives access, or would if
// the client were enabled. Its parameters are the time, twice, and then the time minus
// mayLive.
const grantHolds = `g.revoked_ms IS NULL AND g.client_epoch >= c.epoch AND ` + userStands + ` AND ` + serverStands + `
		   AND ` + outlives + ` AND g.expires_ms > ? AND (g.generation = 0 OR g.refresh_exp_ms > ? OR g.refresh_iat_ms > ?)`

// Holders returns, ordered by user name, the users who gave a client their consent or
// who have a stored grant to it, from the first one after a name. It keeps only a bounded
// number of them in memory, however many there are.
func (s *Store) Holders(ctx context.Context, client, after string) iter.Seq2[consents.Holder, error] {
	return func(yield func(consents.Holder, error) bool) {
		for after := after; ; {
			var rows []struct {
				ID       string `gorm:"column:id"`
				Username string `gorm:"column:username"`
				Disabled bool   `gorm:"column:disabled"`
			}
			err := s.reading(ctx).Raw(`
				SELECT u.id, u.username, u.disabled FROM users AS u
				 WHERE u.username > ?
				   AND (EXISTS (SELECT 1 FROM grants AS g WHERE g.user_id = u.id AND g.client_id = ?)
				        OR EXISTS (SELECT 1 FROM consents AS c WHERE c.user_id = u.id AND c.client_id = ?))
				 ORDER BY u.username LIMIT ?`, after, client, client, min(wholeAtOnce, s.keysAtOnce)).Scan(&rows).Error
			if err != nil {
				yield(consents.Holder{}, fault("list whose grants a client has", err))
				return
			}
			for _, r := range rows {
				if after = r.Username; !yield(consents.Holder{UserID: r.ID, Username: r.Username, Disabled: r.Disabled}, nil) {
					return
				}
			}
			if len(rows) < min(wholeAtOnce, s.keysAtOnce) {
				return
			}
		}
	}
}

// mostHeld is for how many grants of each client Holdings reads the recorded
// permissions.
const mostHeld = 20

// Holdings returns what each client may do for a user at now, or could before, ordered
// by client. A client that was deleted is left out, even if another client has its id
// now. It is one statement, and its result does not grow with the number of grants.
func (s *Store) Holdings(ctx context.Context, user string, now time.Time) ([]consents.Holding, error) {
	const op = "list what clients hold of a user"
	var rows []struct {
		ClientID    string  `gorm:"column:client_id"`
		Scopes      string  `gorm:"column:scopes"`
		Audiences   string  `gorm:"column:audiences"`
		Permissions *string `gorm:"column:permissions"`
		Holds       bool    `gorm:"column:holds"`
		SinceMS     *int64  `gorm:"column:since_ms"`
		UsedMS      int64   `gorm:"column:used_ms"`
	}
	// A former client with the same id used it before this client was created; the
	// WHERE leaves its grants out. Long columns are joined last, for as few rows as
	// possible, because MySQL sorts on disk if there are texts. What covers all grants
	// of a client uses GROUP BY, because MariaDB evaluates a window function anew for
	// each grant.
	const held = `(SELECT g.id, g.client_id, g.created_ms,
		               CASE WHEN g.refresh_iat_ms > g.created_ms THEN g.refresh_iat_ms ELSE g.created_ms END AS used_ms,
		               CASE WHEN ` + grantHolds + ` THEN TRUE ELSE FALSE END AS holds
		          FROM grants AS g JOIN clients AS c ON c.id = g.client_id
		         WHERE g.user_id = ? AND (g.created_ms >= c.created_ms OR g.client_epoch >= c.epoch)) AS h`
	of := []any{ms(now), ms(now), ms(now.Add(-mayLive)), user}
	err := s.reading(ctx).Raw(`
		SELECT r.client_id, r.scopes, r.audiences, r.permissions, p.holds, a.since_ms, a.used_ms
		  FROM (SELECT h.id, h.client_id, h.holds,
		               ROW_NUMBER() OVER (PARTITION BY h.client_id ORDER BY h.holds DESC, h.created_ms DESC, h.id) AS place
		          FROM `+held+`) AS p
		  JOIN (SELECT h.client_id, MIN(CASE WHEN h.holds = TRUE THEN h.created_ms END) AS since_ms, MAX(h.used_ms) AS used_ms
		          FROM `+held+` GROUP BY h.client_id) AS a ON a.client_id = p.client_id
		  JOIN grants AS r ON r.id = p.id
		 WHERE p.place = 1 OR p.holds = TRUE AND p.place <= ?
		 ORDER BY r.client_id, p.place`, append(slices.Concat(of, of), mostHeld)...).Scan(&rows).Error
	if err != nil {
		return nil, fault(op, err)
	}
	var all []consents.Holding
	for _, r := range rows {
		if len(all) == 0 || all[len(all)-1].ClientID != r.ClientID {
			all = append(all, consents.Holding{ClientID: r.ClientID, Since: optionalAt(r.SinceMS), LastUsed: at(r.UsedMS)})
		}
		if !r.Holds {
			continue
		}
		scopes, err1 := unlist(r.Scopes)
		audiences, err2 := unlist(r.Audiences)
		permissions, err3 := unlistPermissions(r.Permissions)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fault(op, err)
		}
		of := &all[len(all)-1]
		of.Granted = append(of.Granted, permission.Granted{Audiences: audiences, Scopes: scopes, Permissions: permissions})
	}
	return all, nil
}
