package storage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"

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

	// IDTokenSigning is absent for the default algorithm.
	IDTokenSigning *signingOption `json:"id_token_signing,omitempty"`

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

type introspectsRow struct {
	ClientID string `gorm:"column:client_id;primaryKey"`
	Audience string `gorm:"column:audience;primaryKey"`
}

func (introspectsRow) TableName() string { return "client_introspects" }

type secretRow struct {
	ClientID string `gorm:"column:client_id;primaryKey"`
	ID       string `gorm:"column:id;primaryKey"`
	Hash     []byte `gorm:"column:hash;not null"`
	// Added is the number of the change that added the secret. It tells which of two
	// secrets is older without relying on anyone's clock.
	Added     int64  `gorm:"column:added;not null"`
	CreatedMS int64  `gorm:"column:created_ms;not null"`
	UsedMS    *int64 `gorm:"column:used_ms"`
}

func (secretRow) TableName() string { return "client_secrets" }

func newClientRow(c clients.Client) (clientRow, error) {
	grants, err1 := list(c.Grants)
	uris, err2 := list(c.RedirectURIs)
	scopes, err3 := list(c.Scopes)
	options := clientOptions{
		PostLogoutRedirectURIs: c.PostLogoutRedirectURIs, NoRefreshIDToken: c.NoRefreshIDToken, NoIDTokenClaims: c.NoIDTokenClaims, InsecureRedirects: c.InsecureRedirects,
		Hold: c.Hold, Origins: c.Origins, IDTokenSigning: newSigningOption(c.IDTokenSigning),
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
		Hold: options.Hold, Origins: options.Origins, IDTokenSigning: options.IDTokenSigning.signing(),

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

// joinedRow is a client with one of its secrets and one of its audiences, or one of the
// APIs that it is. A client with two secrets and three audiences makes six rows. That is
// little, and in return one statement reads all of it as of one moment.
type joinedRow struct {
	Client          clientRow `gorm:"embedded"`
	SecretID        *string   `gorm:"column:secret_id"`
	SecretHash      []byte    `gorm:"column:secret_hash"`
	SecretCreatedMS *int64    `gorm:"column:secret_created_ms"`
	SecretUsedMS    *int64    `gorm:"column:secret_used_ms"`
	// Position is that of an audience; it is negative if the client is the API.
	Position *int64  `gorm:"column:position"`
	Audience *string `gorm:"column:audience"`
}

// isAPI is the position, in a joinedRow, of the APIs that a client is.
const isAPI = -1

// readClients returns the client with the given id, or all clients if id is nil.
func readClients(tx *gorm.DB, id *string) ([]clients.Client, error) {
	// Not every engine sees by itself that it need not read the audiences of all clients.
	where, ids := "", []any{}
	if id != nil {
		where, ids = "WHERE client_id = ?", []any{*id, *id}
	}
	tx = tx.Table("clients AS c").Select(`
		c.id, c.name, c.grants, c.redirect_uris, c.scopes, c.auth, c.first_party, c.disabled, c.epoch, c.created_ms, c.options,
		s.id AS secret_id, s.hash AS secret_hash, s.created_ms AS secret_created_ms, s.used_ms AS secret_used_ms,
		a.position, a.audience`).
		Joins("LEFT JOIN client_secrets AS s ON s.client_id = c.id").
		Joins(fmt.Sprintf(`LEFT JOIN (
			SELECT client_id, position, audience FROM client_audiences %[1]s
			UNION ALL
			SELECT client_id, %[2]d, audience FROM client_introspects %[1]s) AS a ON a.client_id = c.id`, where, isAPI), ids...).
		Order("c.id, s.added, s.created_ms, s.id, a.position, a.audience")
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
			s := clients.Secret{ID: *r.SecretID, CreatedAt: at(*r.SecretCreatedMS), UsedAt: optionalAt(r.SecretUsedMS)}
			if copy(s.Hash[:], r.SecretHash) != len(s.Hash) {
				return nil, errors.New("the hash of a client's secret is too short")
			}
			c.Secrets = append(c.Secrets, s)
		}
		// The join repeats these for each further secret.
		switch {
		case r.Audience == nil:
		case *r.Position == isAPI && !slices.Contains(c.Introspects, *r.Audience):
			c.Introspects = append(c.Introspects, *r.Audience)
		case *r.Position == int64(len(c.Audiences)):
			c.Audiences = append(c.Audiences, *r.Audience)
		}
	}
	return all, nil
}
