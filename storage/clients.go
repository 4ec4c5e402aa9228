package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gorm.io/gorm"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
)

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
	if err := addIntrospects(tx, c.ID, c.Introspects); err != nil {
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
		err := addAudience(tx, "INSERT INTO client_audiences (client_id, position, audience) SELECT ?, ?, audience FROM apis WHERE audience = ?",
			audience, client, int64(i))
		if err != nil {
			return err
		}
	}
	return nil
}

func addIntrospects(tx *gorm.DB, client string, audiences []string) error {
	for _, audience := range audiences {
		err := addAudience(tx, "INSERT INTO client_introspects (client_id, audience) SELECT ?, audience FROM apis WHERE audience = ?", audience, client)
		if err != nil {
			return err
		}
	}
	return nil
}

// addAudience inserts a row that names an API, by a statement that selects the API's own
// row: nothing is inserted if there is no such API. The audience is its last parameter.
func addAudience(tx *gorm.DB, statement, audience string, before ...any) error {
	if !isText(audience) {
		return refuse(fmt.Errorf("%w: %q", clients.ErrUnknownAudience, audience))
	}
	inserted := tx.Exec(statement, append(before, audience)...)
	if errors.Is(inserted.Error, gorm.ErrForeignKeyViolated) || inserted.Error == nil && inserted.RowsAffected == 0 {
		return refuse(fmt.Errorf("%w: %q", clients.ErrUnknownAudience, audience))
	}
	return inserted.Error
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
		c, was := found[0], found[0]
		was.Audiences, was.Introspects = slices.Clone(c.Audiences), slices.Clone(c.Introspects)
		former, err := newClientRow(c)
		if err != nil {
			return audit.Event{}, err
		}
		offered, err := readAPIs(tx, nil)
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
		if err := updateClientRow(tx, id, former, c); err != nil {
			return audit.Event{}, err
		}
		return *ev, updateAudiences(tx, was, c)
	})
}

// updateAudiences replaces the rows of a client that name APIs, if it names others now.
func updateAudiences(tx *gorm.DB, was, now clients.Client) error {
	if !slices.Equal(was.Audiences, now.Audiences) {
		if err := tx.Where("client_id = ?", was.ID).Delete(&audienceRow{}).Error; err != nil {
			return err
		}
		if err := addAudiences(tx, was.ID, now.Audiences); err != nil {
			return err
		}
	}
	if slices.Equal(was.Introspects, now.Introspects) {
		return nil
	}
	if err := tx.Where("client_id = ?", was.ID).Delete(&introspectsRow{}).Error; err != nil {
		return err
	}
	return addIntrospects(tx, was.ID, now.Introspects)
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
func (s *Store) DeleteClient(ctx context.Context, id string, allow func(clients.Client) error, ev audit.Event) error {
	const op = "delete client"
	if !isText(id) {
		return answer(op, id, refuse(clients.ErrNotFound))
	}
	return s.change(ctx, op, changes.Client, id, ev, func(tx *gorm.DB, _ changes.Number) error {
		if err := allowed(tx, id, allow); err != nil {
			return err
		}
		if err := tx.Where("client_id = ?", id).Delete(&secretRow{}).Error; err != nil {
			return err
		}
		if err := tx.Where("client_id = ?", id).Delete(&audienceRow{}).Error; err != nil {
			return err
		}
		if err := tx.Where("client_id = ?", id).Delete(&introspectsRow{}).Error; err != nil {
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

// allowed asks whether a client as it is now may be deleted. A client that is not there is
// found out by the deletion.
func allowed(tx *gorm.DB, id string, allow func(clients.Client) error) error {
	if allow == nil {
		return nil
	}
	found, err := readClients(tx, &id)
	if err != nil || len(found) == 0 {
		return err
	}
	if err := allow(found[0]); err != nil {
		return refuse(err)
	}
	return nil
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
