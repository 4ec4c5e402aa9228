package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/web/admin"
)

const (
	demoAudience    = "https://api.demo.example"
	demoClient      = "demo-client"
	demoApp         = "demo-app"
	demoAdminClient = "demo-admin"
	demoUser        = "demo"
	demoAdmin       = "admin"

	demoActor audit.Actor = "demo"
)

// demoFile says which API and clients the demonstration has, in place of $ISSUER for one
// issuer.
//
//go:embed demo.yaml
var demoFile string

// demoThings are what the demonstration prints: secrets, which the database does not store,
// and the id of its user.
type demoThings struct{ clientSecret, adminSecret, userID, password, adminPassword string }

// demoRecords makes the records of the demonstration as commands do.
type demoRecords struct {
	*concerns
	api *adminAPI
}

// prepareDemo creates the demonstration's API, clients and users where they are missing.
// The database stores only hashes of secrets, so the secrets are kept in files next to it.
func prepareDemo(ctx context.Context, t *terminal, f *foundation) (made demoThings, err error) {
	c, err := newConcerns(t, f.cfg, f.store, demoActor)
	if err != nil {
		return made, err
	}
	d := demoRecords{c, c.adminAPI()}
	d.api.settles = false // no server knows anything yet
	if made.adminPassword, err = d.administrator(ctx); err != nil {
		return made, err
	}
	if made.clientSecret, _, err = demoSecret("client-secret"); err != nil {
		return made, err
	}
	if made.adminSecret, _, err = demoSecret("admin-secret"); err != nil {
		return made, err
	}
	if err := d.apply(ctx); err != nil {
		return made, err
	}
	made.userID, made.password, err = d.user(ctx)
	return made, err
}

// demoSecret returns the secret in a file of the demonstration's folder, which is made if
// it is missing.
func demoSecret(name string) (secret string, isNew bool, err error) {
	file := filepath.Join(demoFolder, name)
	b, err := os.ReadFile(file)
	if secret = strings.TrimSpace(string(b)); secret != "" || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return secret, false, err
	}
	secret = rand.Text() + rand.Text()
	return secret, true, os.WriteFile(file, []byte(secret+"\n"), 0o600)
}

// demoPassword is demoSecret for what a person has to type.
func demoPassword(name string) (password string, isNew bool, err error) {
	secret, isNew, err := demoSecret(name)
	if err != nil {
		return "", false, err
	}
	return secret[:min(len(secret), 12)], isNew, nil
}

// apply writes the file of the API and the clients, and applies it.
func (d demoRecords) apply(ctx context.Context) error {
	file := filepath.Join(demoFolder, "demo.yaml")
	// Its addresses belong to this issuer, which may differ from the last start's.
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(demoFile, "$ISSUER", d.cfg.Issuer.String())), 0o600); err != nil {
		return err
	}
	desired, at, err := readDesired(file, nil)
	if err != nil {
		return err
	}
	_, err = d.api.do(ctx, request{method: http.MethodPost, path: "/apply", body: admin.Application{Desired: desired}}, nil)
	return at.located(err)
}

// administrator makes the first administrator, and what administering needs.
func (d demoRecords) administrator(ctx context.Context) (password string, err error) {
	password, isNew, err := demoPassword("admin-password")
	if err != nil {
		return "", err
	}
	begin := administration.NewBeginning(d.store, d.apis, d.clients, d.users, d.cfg.Issuer.String()+admin.Path)
	u, created, err := begin.Begin(ctx, administration.Operator(d.actor), accounts.User{Username: demoAdmin, Email: "admin@example.com"}, password, "")
	if errors.Is(err, administration.ErrBegun) {
		u, err = d.users.ByName(ctx, demoAdmin)
		if errors.Is(err, accounts.ErrNotFound) { // somebody who tries things out has another one
			return "", nil
		}
	}
	if err == nil && isNew && !created {
		err = d.setPassword(ctx, u.ID, password)
	}
	return password, err
}

// user creates a user who can sign in.
func (d demoRecords) user(ctx context.Context) (id, password string, err error) {
	password, isNew, err := demoPassword("user-password")
	if err != nil {
		return "", "", err
	}
	u, err := d.api.user(ctx, demoUser)
	if isProblem(err, "not-found") {
		name, email, roles := demoUser, "demo@example.com", []string{"reader"}
		claims := map[string]json.RawMessage{"name": json.RawMessage(`"Demo Person"`)}
		_, err = d.api.do(ctx, request{method: http.MethodPost, path: "/users", body: admin.NewUser{
			Password: &password, UserSettings: administration.UserSettings{Username: &name, Email: &email, Roles: &roles, Claims: &claims},
		}}, &u)
		return u.ID, password, err
	}
	if err == nil && isNew {
		err = d.setPassword(ctx, u.ID, password)
	}
	return u.ID, password, err
}

// setPassword replaces a password whose file was lost.
func (d demoRecords) setPassword(ctx context.Context, id, password string) error {
	_, err := d.api.do(ctx, request{
		method: http.MethodPut, path: "/users" + segment(id) + "/password", body: admin.NewPassword{Password: password},
	}, nil)
	return err
}
