package storage

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/grants"
)

type codeRow struct {
	Hash        []byte `gorm:"column:hash;primaryKey"`
	ClientID    string `gorm:"column:client_id;not null"`
	RedirectURI string `gorm:"column:redirect_uri;not null"`
	UserID      string `gorm:"column:user_id;not null"`
	SessionID   string `gorm:"column:session_id;not null"`
	// Scopes, Audiences, AMR and Permissions are JSON lists.
	Scopes      string  `gorm:"column:scopes;not null"`
	Audiences   string  `gorm:"column:audiences;not null"`
	Nonce       string  `gorm:"column:nonce;not null"`
	Challenge   string  `gorm:"column:challenge;not null"`
	AuthMS      int64   `gorm:"column:auth_ms;not null"`
	AMR         string  `gorm:"column:amr;not null"`
	ACR         string  `gorm:"column:acr;not null"`
	UserEpoch   int64   `gorm:"column:user_epoch;not null"`
	ClientEpoch int64   `gorm:"column:client_epoch;not null"`
	ServerEpoch int64   `gorm:"column:server_epoch;not null"`
	ExpiresMS   int64   `gorm:"column:expires_ms;not null"`
	UsedMS      *int64  `gorm:"column:used_ms"`
	GrantID     *string `gorm:"column:grant_id"`
	Permissions *string `gorm:"column:permissions"`
}

func (codeRow) TableName() string { return "codes" }

func (r codeRow) code() (grants.Code, error) {
	scopes, err1 := unlist(r.Scopes)
	audiences, err2 := unlist(r.Audiences)
	methods, err3 := unlist(r.AMR)
	permissions, err4 := unlistPermissions(r.Permissions)
	c := grants.Code{
		ClientID: r.ClientID, RedirectURI: r.RedirectURI, UserID: r.UserID, SessionID: r.SessionID,
		Scopes: scopes, Audiences: audiences, Permissions: permissions, Nonce: r.Nonce, Challenge: r.Challenge,
		AuthenticatedAt: at(r.AuthMS), Methods: methods, ContextClass: r.ACR,
		UserEpoch: changes.Number(r.UserEpoch), ClientEpoch: changes.Number(r.ClientEpoch), ServerEpoch: changes.Number(r.ServerEpoch),
		ExpiresAt: at(r.ExpiresMS), UsedAt: optionalAt(r.UsedMS),
	}
	if r.GrantID != nil {
		c.GrantID = *r.GrantID
	}
	return c, errors.Join(err1, err2, err3, err4)
}

// SaveCode stores an authorization code under its hash, with the present epochs.
// Returns grants.ErrNotFound if the login session does not stand at now.
func (s *Store) SaveCode(ctx context.Context, hash [32]byte, c grants.Code, now time.Time) error {
	const op = "save an authorization code"
	scopes, err1 := list(c.Scopes)
	audiences, err2 := list(c.Audiences)
	methods, err3 := list(c.Methods)
	permissions, err4 := listPermissions(c.Permissions)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return fault(op, err)
	}
	var inserted *gorm.DB
	err := s.statement(ctx, func(db *gorm.DB) error {
		inserted = db.Exec(`
			INSERT INTO codes (hash, client_id, redirect_uri, user_id, session_id, scopes, audiences, permissions, nonce, challenge,
			                   auth_ms, amr, acr, user_epoch, client_epoch, server_epoch, expires_ms)
			SELECT ?, c.id, ?, u.id, l.id, ?, ?, ?, ?, ?, ?, ?, ?, l.user_epoch, c.epoch, v.epoch, ?
			  FROM `+grantable,
			hash[:], c.RedirectURI, scopes, audiences, permissions, c.Nonce, c.Challenge, ms(c.AuthenticatedAt), methods, c.ContextClass, ms(c.ExpiresAt),
			c.ClientID, c.SessionID, ms(now), ms(now))
		return inserted.Error
	})
	if err == nil && inserted.RowsAffected == 0 {
		err = refuse(grants.ErrNotFound)
	}
	return answer(op, "", err)
}

// Code implements grants.Store.
func (s *Store) Code(ctx context.Context, hash [32]byte) (grants.Code, error) {
	const op = "read an authorization code"
	var rows []codeRow
	err := s.reading(ctx).Where("hash = ?", hash[:]).Limit(1).Find(&rows).Error
	if err == nil && len(rows) == 0 {
		err = refuse(grants.ErrNotFound)
	}
	if err != nil {
		return grants.Code{}, answer(op, "", err)
	}
	c, err := rows[0].code()
	return c, fault(op, err)
}

// RedeemCode implements grants.Store.
func (s *Store) RedeemCode(ctx context.Context, hash [32]byte, now time.Time, g grants.Grant) error {
	const op = "redeem an authorization code"
	values, err := grantValues(g)
	if err != nil {
		return fault(op, err)
	}
	err = s.several(ctx, func(tx *gorm.DB) error {
		used := tx.Exec(`
			UPDATE codes AS g SET used_ms = ?, grant_id = ?
			 WHERE g.hash = ? AND g.used_ms IS NULL AND g.expires_ms > ? AND `+ownersStand+` AND NOT `+sessionEnded,
			ms(now), g.ID, hash[:], ms(now))
		if used.Error == nil && used.RowsAffected == 0 {
			return refuse(grants.ErrNotFound)
		}
		if used.Error != nil {
			return used.Error
		}
		if err := tx.Exec(`INSERT INTO grants (`+grantColumns+`) VALUES (`+s.beginning()+`)`, values...).Error; err != nil {
			return err
		}
		return createEvent(ctx, tx, g.Begun())
	})
	return answer(op, "", err)
}
