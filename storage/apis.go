package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
)

type apiRow struct {
	ID       string `gorm:"column:id;primaryKey"`
	Audience string `gorm:"column:audience;not null"`
	Name     string `gorm:"column:name;not null"`
	// Scopes is a JSON list.
	Scopes      string `gorm:"column:scopes;not null"`
	AccessTTLMS int64  `gorm:"column:access_ttl_ms;not null"`
	CreatedMS   int64  `gorm:"column:created_ms;not null"`
	// Options is a JSON object, apiOptions.
	Options *string `gorm:"column:options"`
}

// apiOptions holds the optional fields of an API, those with a default. They share one
// JSON column.
type apiOptions struct {
	Roles bool `json:"roles,omitempty"`
	// TokenType is absent for at+jwt, which was the only type before there was a
	// choice.
	TokenType apis.TokenType `json:"token_typ,omitempty"`
	// ScopeTexts may name scopes that the API does not offer: an older binary, which
	// does not know this field, can remove a scope and leave its texts.
	ScopeTexts apis.ScopeTexts `json:"scope_texts,omitempty"`
	// Signing is absent for the default, which was the only algorithm before there was a
	// choice.
	Signing *signingOption `json:"signing,omitempty"`
	// EncryptionJWK is a JWK as text.
	EncryptionJWK string `json:"encryption_jwk,omitempty"`
}

// signingOption is an apis.Signing as stored.
type signingOption struct {
	Alg    string `json:"alg,omitempty"`
	Former string `json:"former,omitempty"`
	FromMS int64  `json:"from_ms,omitempty"`
}

func newSigningOption(s apis.Signing) *signingOption {
	if s == (apis.Signing{}) {
		return nil
	}
	o := &signingOption{Alg: s.Alg, Former: s.Former}
	if !s.From.IsZero() {
		o.FromMS = ms(s.From)
	}
	return o
}

func (o *signingOption) signing() (s apis.Signing) {
	if o == nil {
		return s
	}
	s.Alg, s.Former = o.Alg, o.Former
	if o.FromMS != 0 {
		s.From = at(o.FromMS)
	}
	return s
}

func (apiRow) TableName() string { return "apis" }

func newAPIRow(a apis.API) (apiRow, error) {
	scopes, err := list(a.Scopes)
	if err != nil {
		return apiRow{}, err
	}
	optional := apiOptions{Roles: a.Roles, ScopeTexts: a.ScopeTexts, Signing: newSigningOption(a.Signing), EncryptionJWK: a.EncryptionJWK}
	if a.TokenType != apis.ATJWT {
		optional.TokenType = a.TokenType
	}
	options, err := object(optional)
	return apiRow{
		Options:     options,
		ID:          a.ID,
		Audience:    a.Audience,
		Name:        a.Name,
		Scopes:      scopes,
		AccessTTLMS: a.AccessTTL.Milliseconds(),
		CreatedMS:   ms(a.CreatedAt),
	}, err
}

func (r apiRow) api() (apis.API, error) {
	scopes, err := unlist(r.Scopes)
	if err != nil {
		return apis.API{}, err
	}
	var options apiOptions
	err = unobject(r.Options, &options)
	return apis.API{
		Roles:         options.Roles,
		TokenType:     cmp.Or(options.TokenType, apis.ATJWT),
		ScopeTexts:    options.ScopeTexts,
		Signing:       options.Signing.signing(),
		EncryptionJWK: options.EncryptionJWK,
		ID:            r.ID,
		Audience:      r.Audience,
		Name:          r.Name,
		Scopes:        scopes,
		AccessTTL:     time.Duration(r.AccessTTLMS) * time.Millisecond,
		CreatedAt:     at(r.CreatedMS),
	}, err
}

// APIs implements catalog.Store.
func (s *Store) APIs(ctx context.Context) ([]apis.API, error) {
	list, err := readAPIs(s.reading(ctx), nil)
	return list, fault("list APIs", err)
}

// CreateAPI implements catalog.Store. An API with bytes that not every engine can
// store is apis.ErrInvalid.
func (s *Store) CreateAPI(ctx context.Context, a apis.API, ev audit.Event) error {
	const op = "create API"
	row, err := newAPIRow(a)
	if err != nil {
		return fault(op, err)
	}
	if !isText(row.ID) || !isText(row.Audience) || !isText(row.Name) {
		return answer(op, a.Audience, refuse(fmt.Errorf("%w: it contains bytes that are not text", apis.ErrInvalid)))
	}
	return s.change(ctx, op, changes.API, a.Audience, ev, func(tx *gorm.DB, _ changes.Number) error {
		// Changes run one after the other, so of two requests that create two spellings
		// of one audience at the same time, the second sees the first.
		var taken []string
		err := tx.Model(&apiRow{}).Where("audience IN ?", apis.Spellings(a.Audience)).Pluck("audience", &taken).Error
		if err != nil {
			return err
		}
		if len(taken) > 0 && taken[0] != a.Audience {
			return refuse(fmt.Errorf("%w: %s is another spelling of %s (RFC 3986 section 6.2.3)", catalog.ErrExists, a.Audience, taken[0]))
		}
		err = tx.Create(&row).Error
		if errors.Is(err, gorm.ErrDuplicatedKey) {
			return refuse(catalog.ErrExists)
		}
		if err != nil {
			return err
		}
		if err := changeSecrets(tx, a.ID, nil, a.Secrets); err != nil {
			return err
		}
		return isNoClient(tx, a)
	})
}

// isNoClient refuses an API whose audience is the id of a client: its access tokens
// would look like ID tokens for that client. Changes run one after the other, so of an
// API and a client that are created at the same time, the second is refused.
func isNoClient(tx *gorm.DB, a apis.API) error {
	if a.TokenType != apis.PlainJWT {
		return nil
	}
	var n int64
	err := tx.Model(&clientRow{}).Where("id = ?", a.Audience).Count(&n).Error
	if err == nil && n > 0 {
		err = refuse(catalog.ErrIsClient)
	}
	return err
}

// isNoAudience refuses a client whose id is the audience of an API, for the reason that
// isNoClient gives.
func isNoAudience(tx *gorm.DB, client string) error {
	var rows []apiRow
	if err := tx.Where("audience = ?", client).Limit(1).Find(&rows).Error; err != nil || len(rows) == 0 {
		return err
	}
	a, err := rows[0].api()
	if err == nil && a.TokenType == apis.PlainJWT {
		err = refuse(clients.ErrIsAudience)
	}
	return err
}

// UpdateAPI implements catalog.Store. An API with bytes that not every engine can
// store is apis.ErrInvalid.
func (s *Store) UpdateAPI(ctx context.Context, audience string, edit func(*apis.API) (*audit.Event, error)) error {
	const op = "update API"
	if !isText(audience) {
		return answer(op, audience, refuse(catalog.ErrNotFound))
	}
	return s.edit(ctx, op, changes.API, audience, func(tx *gorm.DB, _ changes.Number) (audit.Event, error) {
		var rows []apiRow
		if err := tx.Where("audience = ?", audience).Limit(1).Find(&rows).Error; err != nil {
			return audit.Event{}, err
		}
		if len(rows) == 0 {
			return audit.Event{}, refuse(catalog.ErrNotFound)
		}
		// Nobody else can change it now.
		found, err := readAPIs(tx, &audience)
		if err != nil {
			return audit.Event{}, err
		}
		a := found[0]
		secrets := slices.Clone(a.Secrets)
		former, err := newAPIRow(a)
		if err != nil {
			return audit.Event{}, err
		}
		ev, err := edit(&a)
		if err != nil {
			return audit.Event{}, refuse(err)
		}
		if ev == nil {
			return audit.Event{}, errUnchanged
		}
		if !isText(a.Name) {
			return audit.Event{}, refuse(fmt.Errorf("%w: it contains bytes that are not text", apis.ErrInvalid))
		}
		row, err := newAPIRow(a)
		if err != nil {
			return audit.Event{}, err
		}
		options, err := mergeObjects(rows[0].Options, former.Options, row.Options)
		if err != nil {
			return audit.Event{}, err
		}
		if err := isNoClient(tx, a); err != nil {
			return audit.Event{}, err
		}
		err = tx.Exec("UPDATE apis SET name = ?, scopes = ?, access_ttl_ms = ?, options = ? WHERE audience = ?",
			row.Name, row.Scopes, row.AccessTTLMS, options, audience).Error
		if err != nil {
			return audit.Event{}, err
		}
		return *ev, changeSecrets(tx, a.ID, secrets, a.Secrets)
	})
}

// DeleteAPI implements catalog.Store.
func (s *Store) DeleteAPI(ctx context.Context, audience string, allow func(apis.API) error, ev audit.Event) error {
	const op = "delete API"
	if !isText(audience) {
		return answer(op, audience, refuse(catalog.ErrNotFound))
	}
	return s.change(ctx, op, changes.API, audience, ev, func(tx *gorm.DB, _ changes.Number) error {
		found, err := readAPIs(tx, &audience)
		if err != nil {
			return err
		}
		// One that is not there is found out by the deletion.
		if len(found) == 1 && allow != nil {
			if err := allow(found[0]); err != nil {
				return refuse(err)
			}
		}
		return deleteAPI(tx, audience)
	})
}

func deleteAPI(tx *gorm.DB, audience string) error {
	deleted := tx.Exec(`
		DELETE FROM apis
		 WHERE audience = ?
		   AND NOT EXISTS (SELECT 1 FROM client_audiences WHERE audience = ?)
		   AND NOT EXISTS (SELECT 1 FROM client_introspects WHERE audience = ?)`,
		audience, audience, audience)
	if errors.Is(deleted.Error, gorm.ErrForeignKeyViolated) {
		return refuse(catalog.ErrInUse)
	}
	if deleted.Error != nil || deleted.RowsAffected == 1 {
		return deleted.Error
	}
	var n int64
	if err := tx.Model(&apiRow{}).Where("audience = ?", audience).Count(&n).Error; err != nil {
		return err
	}
	if n == 0 {
		return refuse(catalog.ErrNotFound)
	}
	var named []string
	err := tx.Raw(`
		SELECT client_id FROM client_audiences WHERE audience = ?
		 UNION
		SELECT client_id FROM client_introspects WHERE audience = ?
		 ORDER BY client_id`, audience, audience).Scan(&named).Error
	if err != nil {
		return err
	}
	return refuse(fmt.Errorf("%w: %s", catalog.ErrInUse, strings.Join(named, ", ")))
}
