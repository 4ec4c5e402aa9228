package storage

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/keys"
)

type apiSecretRow struct {
	KID       string `gorm:"column:kid;primaryKey"`
	APIID     string `gorm:"column:api_id;not null"`
	Sealed    []byte `gorm:"column:sealed;not null"`
	Signs     bool   `gorm:"column:signs;not null"`
	CreatedMS int64  `gorm:"column:created_ms;not null"`
}

func (apiSecretRow) TableName() string { return "api_secrets" }

func newAPISecretRow(api string, s apis.Secret) apiSecretRow {
	return apiSecretRow{KID: s.ID, APIID: api, Sealed: s.Sealed, Signs: s.Signs, CreatedMS: ms(s.CreatedAt)}
}

func (r apiSecretRow) secret() apis.Secret {
	return apis.Secret{ID: r.KID, Sealed: r.Sealed, Signs: r.Signs, CreatedAt: at(r.CreatedMS)}
}

// apiWithSecret is an API with one of its secrets, if it has any: one statement reads all
// of it as of one moment.
type apiWithSecret struct {
	API       apiRow  `gorm:"embedded"`
	KID       *string `gorm:"column:kid"`
	Sealed    []byte  `gorm:"column:sealed"`
	Signs     *bool   `gorm:"column:signs"`
	SecretsMS *int64  `gorm:"column:secret_created_ms"`
}

// readAPIs returns all APIs, ordered by audience, or the one with that audience.
func readAPIs(tx *gorm.DB, audience *string) ([]apis.API, error) {
	tx = tx.Table("apis AS a").Select(`
		a.id, a.audience, a.name, a.scopes, a.access_ttl_ms, a.created_ms, a.options,
		s.kid, s.sealed, s.signs, s.created_ms AS secret_created_ms`).
		Joins("LEFT JOIN api_secrets AS s ON s.api_id = a.id").
		Order("a.audience, s.created_ms, s.kid")
	if audience != nil {
		tx = tx.Where("a.audience = ?", *audience)
	}
	var rows []apiWithSecret
	if err := tx.Scan(&rows).Error; err != nil {
		return nil, err
	}
	all := make([]apis.API, 0, len(rows))
	for _, r := range rows {
		if len(all) == 0 || all[len(all)-1].ID != r.API.ID {
			a, err := r.API.api()
			if err != nil {
				return nil, err
			}
			all = append(all, a)
		}
		if r.KID != nil {
			a := &all[len(all)-1]
			s := apiSecretRow{KID: *r.KID, Sealed: r.Sealed, Signs: *r.Signs, CreatedMS: *r.SecretsMS}
			a.Secrets = append(a.Secrets, s.secret())
		}
	}
	return all, nil
}

// changeSecrets makes the secrets of an API those that are to be there, where they differ
// from those that are.
func changeSecrets(tx *gorm.DB, api string, are, toBe []apis.Secret) error {
	in := func(list []apis.Secret, id string) int {
		return slices.IndexFunc(list, func(s apis.Secret) bool { return s.ID == id })
	}
	for _, s := range are {
		if in(toBe, s.ID) < 0 {
			if err := tx.Exec("DELETE FROM api_secrets WHERE api_id = ? AND kid = ?", api, s.ID).Error; err != nil {
				return err
			}
		}
	}
	for _, s := range toBe {
		row := newAPISecretRow(api, s)
		i := in(are, s.ID)
		var err error
		switch {
		case i < 0:
			err = tx.Create(&row).Error
		case are[i].Signs != s.Signs || !bytes.Equal(are[i].Sealed, s.Sealed):
			err = tx.Exec("UPDATE api_secrets SET signs = ?, sealed = ? WHERE api_id = ? AND kid = ?", s.Signs, s.Sealed, api, s.ID).Error
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ReshareSecrets seals every secret that the server shares with an API anew, as seal does
// it, and returns how many there are. All are changed or none.
func (s *Store) ReshareSecrets(ctx context.Context, ev audit.Event, seal func(keys.SharedSecret) (keys.SharedSecret, error)) (n int, err error) {
	const op = "seal the secrets of APIs anew"
	err = s.change(ctx, op, changes.API, "", ev, func(tx *gorm.DB, _ changes.Number) error {
		var rows []apiSecretRow
		if err := tx.Order("kid").Find(&rows).Error; err != nil {
			return err
		}
		for _, r := range rows {
			sealed, err := seal(keys.SharedSecret{API: r.APIID, KID: r.KID, Sealed: r.Sealed})
			if err != nil {
				return refuse(err)
			}
			if err := tx.Exec("UPDATE api_secrets SET sealed = ? WHERE kid = ?", sealed.Sealed, r.KID).Error; err != nil {
				return err
			}
		}
		if n = len(rows); n == 0 {
			return errUnchanged
		}
		return nil
	})
	return n, err
}

// SharesSecrets reports whether there is a secret that is sealed under the master key.
func (s *Store) SharesSecrets(ctx context.Context) (bool, error) {
	var row apiSecretRow
	err := s.reading(ctx).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return false, nil
	}
	return err == nil, fault("look for secrets of APIs", err)
}
