package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
)

type clientRow struct {
	ID   string `gorm:"column:id;primaryKey"`
	Name string `gorm:"column:name;not null"`
	// Grants, RedirectURIs and Scopes are JSON lists.
	Grants       string `gorm:"column:grants;not null"`
	RedirectURIs string `gorm:"column:redirect_uris;not null"`
	Scopes       string `gorm:"column:scopes;not null"`
	Auth         string `gorm:"column:auth;not null"`
	FirstParty   bool   `gorm:"column:first_party;not null"`
	Disabled     bool   `gorm:"column:disabled;not null"`
	Epoch        int64  `gorm:"column:epoch;not null"`
	CreatedMS    int64  `gorm:"column:created_ms;not null"`
	// Options is a JSON object, clientOptions.
	Options *string `gorm:"column:options"`
}

// clientOptions holds the optional fields of a client, those with a default. They share
// one JSON column.
type clientOptions struct {
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	RefreshGraceMS         *int64   `json:"refresh_grace_ms,omitempty"`
	NoRefreshIDToken       bool     `json:"no_refresh_id_token,omitempty"`
	InsecureRedirects      bool     `json:"insecure_redirects,omitempty"`
	NoIDTokenClaims        bool     `json:"no_id_token_claims,omitempty"`
	// PKCE is absent where it is required, which was the rule for all clients before
	// there was a choice.
	PKCE clients.PKCE `json:"pkce,omitempty"`

	Hold    clients.Hold `json:"hold,omitempty"`
	Origins []string     `json:"origins,omitempty"`
}

func (clientRow) TableName() string { return "clients" }

type audienceRow struct {
	ClientID string `gorm:"column:client_id;primaryKey"`
	// Position 0 is the default audience.
	Position int64  `gorm:"column:position;primaryKey;autoIncrement:false"`
	Audience string `gorm:"column:audience;not null"`
}

func (audienceRow) TableName() string { return "client_audiences" }

type secretRow struct {
	ClientID string `gorm:"column:client_id;primaryKey"`
	ID       string `gorm:"column:id;primaryKey"`
	Hash     []byte `gorm:"column:hash;not null"`
	// Added is the number of the change that added the secret. It tells which of two
	// secrets is older without relying on anyone's clock.
	Added     int64 `gorm:"column:added;not null"`
	CreatedMS int64 `gorm:"column:created_ms;not null"`
}

func (secretRow) TableName() string { return "client_secrets" }

func newClientRow(c clients.Client) (clientRow, error) {
	grants, err1 := list(c.Grants)
	uris, err2 := list(c.RedirectURIs)
	scopes, err3 := list(c.Scopes)
	options := clientOptions{
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, NoRefreshIDToken: c.NoRefreshIDToken, NoIDTokenClaims: c.NoIDTokenClaims, InsecureRedirects: c.InsecureRedirects,
		Hold: c.Hold, Origins: c.Origins,
	}
	if c.PKCE != clients.PKCERequired {
		options.PKCE = c.PKCE
	}
	if c.RefreshGrace != nil {
		grace := c.RefreshGrace.Milliseconds()
		options.RefreshGraceMS = &grace
	}
	optional, err4 := object(options)
	return clientRow{
		Options:      optional,
		ID:           c.ID,
		Name:         c.Name,
		Grants:       grants,
		RedirectURIs: uris,
		Scopes:       scopes,
		Auth:         string(c.Auth),
		FirstParty:   c.FirstParty,
		Disabled:     c.Disabled,
		CreatedMS:    ms(c.CreatedAt),
	}, errors.Join(err1, err2, err3, err4)
}

func (r clientRow) client() (clients.Client, error) {
	grants, err1 := unlist(r.Grants)
	uris, err2 := unlist(r.RedirectURIs)
	scopes, err3 := unlist(r.Scopes)
	var options clientOptions
	err4 := unobject(r.Options, &options)
	var grace *time.Duration
	if options.RefreshGraceMS != nil {
		d := time.Duration(*options.RefreshGraceMS) * time.Millisecond
		grace = &d
	}
	return clients.Client{
		PostLogoutRedirectURIs: options.PostLogoutRedirectURIs, RefreshGrace: grace, NoRefreshIDToken: options.NoRefreshIDToken,
		InsecureRedirects: options.InsecureRedirects, NoIDTokenClaims: options.NoIDTokenClaims, PKCE: cmp.Or(options.PKCE, clients.PKCERequired),
		Hold: options.Hold, Origins: options.Origins,

		ID:           r.ID,
		Name:         r.Name,
		Grants:       grants,
		RedirectURIs: uris,
		Scopes:       scopes,
		Auth:         clients.AuthMethod(r.Auth),
		FirstParty:   r.FirstParty,
		Disabled:     r.Disabled,
		Epoch:        changes.Number(r.Epoch),
		CreatedAt:    at(r.CreatedMS),
	}, errors.Join(err1, err2, err3, err4)
}

func newSecretRow(client string, s clients.Secret, n changes.Number) secretRow {
	return secretRow{ClientID: client, ID: s.ID, Hash: s.Hash[:], Added: int64(n), CreatedMS: ms(s.CreatedAt)}
}

// joinedRow is a client with one of its secrets and one of its audiences. A client with
// two secrets and three audiences makes six rows. That is little, and in return one
// statement reads all of it as of one moment.
type joinedRow struct {
	Client          clientRow `gorm:"embedded"`
	SecretID        *string   `gorm:"column:secret_id"`
	SecretHash      []byte    `gorm:"column:secret_hash"`
	SecretCreatedMS *int64    `gorm:"column:secret_created_ms"`
	Position        *int64    `gorm:"column:position"`
	Audience        *string   `gorm:"column:audience"`
}

// readClients returns the client with the given id, or all clients if id is nil.
func readClients(tx *gorm.DB, id *string) ([]clients.Client, error) {
	tx = tx.Table("clients AS c").Select(`
		c.id, c.name, c.grants, c.redirect_uris, c.scopes, c.auth, c.first_party, c.disabled, c.epoch, c.created_ms, c.options,
		s.id AS secret_id, s.hash AS secret_hash, s.created_ms AS secret_created_ms,
		a.position, a.audience`).
		Joins("LEFT JOIN client_secrets AS s ON s.client_id = c.id").
		Joins("LEFT JOIN client_audiences AS a ON a.client_id = c.id").
		Order("c.id, s.added, s.created_ms, s.id, a.position")
	if id != nil {
		tx = tx.Where("c.id = ?", *id)
	}
	var rows []joinedRow
	if err := tx.Scan(&rows).Error; err != nil {
		return nil, err
	}

	var all []clients.Client
	for _, r := range rows {
		if len(all) == 0 || all[len(all)-1].ID != r.Client.ID {
			c, err := r.Client.client()
			if err != nil {
				return nil, err
			}
			all = append(all, c)
		}
		c := &all[len(all)-1]
		if r.SecretID != nil && (len(c.Secrets) == 0 || c.Secrets[len(c.Secrets)-1].ID != *r.SecretID) {
			s := clients.Secret{ID: *r.SecretID, CreatedAt: at(*r.SecretCreatedMS)}
			if copy(s.Hash[:], r.SecretHash) != len(s.Hash) {
				return nil, errors.New("the hash of a client's secret is too short")
			}
			c.Secrets = append(c.Secrets, s)
		}
		// The join repeats the audiences for each further secret.
		if r.Audience != nil && *r.Position == int64(len(c.Audiences)) {
			c.Audiences = append(c.Audiences, *r.Audience)
		}
	}
	return all, nil
}

// Client implements clients.Store.
func (s *Store) Client(ctx context.Context, id string) (clients.Client, error) {
	const op = "read client"
	if !isText(id) {
		return clients.Client{}, answer(op, id, refuse(clients.ErrNotFound))
	}
	found, err := readClients(s.reading(ctx), &id)
	if err == nil && len(found) == 0 {
		err = refuse(clients.ErrNotFound)
	}
	if err != nil {
		return clients.Client{}, answer(op, id, err)
	}
	return found[0], nil
}

// Clients implements clients.Store.
func (s *Store) Clients(ctx context.Context) ([]clients.Client, error) {
	all, err := readClients(s.reading(ctx), nil)
	return all, fault("list clients", err)
}

// CreateClient implements clients.Store. A client with bytes that not every
// engine can store is clients.ErrInvalid.
func (s *Store) CreateClient(ctx context.Context, c clients.Client, ev audit.Event) error {
	const op = "create client"
	row, err := newClientRow(c)
	if err != nil {
		return fault(op, err)
	}
	if !isText(row.ID) || !isText(row.Name) || !isText(row.Auth) {
		return answer(op, c.ID, refuse(fmt.Errorf("%w: it contains bytes that are not text", clients.ErrInvalid)))
	}
	if len(c.Secrets) > clients.MaxSecrets {
		return answer(op, c.ID, refuse(clients.ErrTooManySecrets))
	}
	return s.change(ctx, op, changes.Client, c.ID, ev, func(tx *gorm.DB, n changes.Number) error {
		row.Epoch = int64(n)
		return createClient(tx, row, c, n)
	})
}

func createClient(tx *gorm.DB, row clientRow, c clients.Client, n changes.Number) error {
	err := tx.Create(&row).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return refuse(clients.ErrExists)
	}
	if err != nil {
		return err
	}
	if err := isNoAudience(tx, c.ID); err != nil {
		return err
	}
	if err := addAudiences(tx, c.ID, c.Audiences); err != nil {
		return err
	}
	for _, secret := range c.Secrets {
		row := newSecretRow(c.ID, secret, n)
		if err := tx.Create(&row).Error; err != nil {
			return err
		}
	}
	return nil
}

func addAudiences(tx *gorm.DB, client string, audiences []string) error {
	for i, audience := range audiences {
		// The SELECT reads the API's own row, so nothing is inserted if there is no
		// such API.
		if !isText(audience) {
			return refuse(fmt.Errorf("%w: %q", clients.ErrUnknownAudience, audience))
		}
		inserted := tx.Exec(`
			INSERT INTO client_audiences (client_id, position, audience)
			SELECT ?, ?, audience FROM apis WHERE audience = ?`,
			client, int64(i), audience)
		if errors.Is(inserted.Error, gorm.ErrForeignKeyViolated) || inserted.Error == nil && inserted.RowsAffected == 0 {
			return refuse(fmt.Errorf("%w: %q", clients.ErrUnknownAudience, audience))
		}
		if inserted.Error != nil {
			return inserted.Error
		}
	}
	return nil
}

// UpdateClient implements clients.Store. A client with bytes that not every engine
// can store is clients.ErrInvalid.
func (s *Store) UpdateClient(ctx context.Context, id string, edit func(*clients.Client, []apis.API) (*audit.Event, error)) error {
	const op = "update client"
	if !isText(id) {
		return answer(op, id, refuse(clients.ErrNotFound))
	}
	return s.edit(ctx, op, changes.Client, id, func(tx *gorm.DB, _ changes.Number) (audit.Event, error) {
		found, err := readClients(tx, &id)
		if err != nil {
			return audit.Event{}, err
		}
		if len(found) == 0 {
			return audit.Event{}, refuse(clients.ErrNotFound)
		}
		c, audiences := found[0], slices.Clone(found[0].Audiences)
		former, err := newClientRow(c)
		if err != nil {
			return audit.Event{}, err
		}
		offered, err := readAPIs(tx)
		if err != nil {
			return audit.Event{}, err
		}
		ev, err := edit(&c, offered)
		if err != nil {
			return audit.Event{}, refuse(err)
		}
		if ev == nil {
			return audit.Event{}, errUnchanged
		}
		if !isText(c.Name) {
			return audit.Event{}, refuse(fmt.Errorf("%w: it contains bytes that are not text", clients.ErrInvalid))
		}
		if err := updateClientRow(tx, id, former, c); err != nil || slices.Equal(audiences, c.Audiences) {
			return *ev, err
		}
		if err := tx.Where("client_id = ?", id).Delete(&audienceRow{}).Error; err != nil {
			return audit.Event{}, err
		}
		return *ev, addAudiences(tx, id, c.Audiences)
	})
}

func updateClientRow(tx *gorm.DB, id string, former clientRow, c clients.Client) error {
	row, err := newClientRow(c)
	if err != nil {
		return err
	}
	var stored []clientRow
	if err := tx.Select("options").Where("id = ?", id).Find(&stored).Error; err != nil {
		return err
	}
	if len(stored) != 1 {
		return errors.New("the client that was read is not there")
	}
	options, err := mergeObjects(stored[0].Options, former.Options, row.Options)
	if err != nil {
		return err
	}
	return tx.Exec("UPDATE clients SET name = ?, grants = ?, redirect_uris = ?, scopes = ?, first_party = ?, options = ? WHERE id = ?",
		row.Name, row.Grants, row.RedirectURIs, row.Scopes, row.FirstParty, options, id).Error
}

// SetClientDisabled implements clients.Store.
func (s *Store) SetClientDisabled(ctx context.Context, id string, disabled bool, ev audit.Event) error {
	const op = "disable or enable client"
	if !isText(id) {
		return answer(op, id, refuse(clients.ErrNotFound))
	}
	kind := changes.Client
	if !disabled {
		kind = changes.Enabled
	}
	return s.change(ctx, op, kind, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		set := tx.Exec("UPDATE clients SET disabled = ? WHERE id = ? AND disabled <> ?", disabled, id, disabled)
		if set.Error != nil || set.RowsAffected == 1 {
			return set.Error
		}
		if err := mustExist(tx, id); err != nil {
			return err
		}
		return errUnchanged
	})
}

// DeleteClient implements clients.Store.
func (s *Store) DeleteClient(ctx context.Context, id string, ev audit.Event) error {
	const op = "delete client"
	if !isText(id) {
		return answer(op, id, refuse(clients.ErrNotFound))
	}
	return s.change(ctx, op, changes.Client, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		if err := tx.Where("client_id = ?", id).Delete(&secretRow{}).Error; err != nil {
			return err
		}
		if err := tx.Where("client_id = ?", id).Delete(&audienceRow{}).Error; err != nil {
			return err
		}
		// A consent is for this client: whoever gets its id later must not inherit it.
		if err := tx.Where("client_id = ?", id).Delete(&consentRow{}).Error; err != nil {
			return err
		}
		deleted := tx.Where("id = ?", id).Delete(&clientRow{})
		if deleted.Error == nil && deleted.RowsAffected == 0 {
			return refuse(clients.ErrNotFound)
		}
		return deleted.Error
	})
}

// mustExist tells, after a statement that changed no row, whether the reason is that
// there is no such client.
func mustExist(tx *gorm.DB, id string) error {
	var n int64
	if err := tx.Model(&clientRow{}).Where("id = ?", id).Count(&n).Error; err != nil {
		return err
	}
	if n == 0 {
		return refuse(clients.ErrNotFound)
	}
	return nil
}
