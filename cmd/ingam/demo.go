package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/catalog"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/passwords"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/web"
)

// demoFolder contains everything that the demonstration creates.
const demoFolder = "ingam-demo"

const (
	demoAudience = "https://api.demo.example"
	demoClient   = "demo-client"
	demoApp      = "demo-app"
	demoUser     = "demo"

	demoAppName = "Demo app"

	demoActor audit.Actor = "demo"
)

// serveDemo runs the server with a database and settings of its own, so that trying it
// takes one command and changes nothing else.
func serveDemo(t *terminal, cmd *cobra.Command) error {
	given, err := t.load(cmd)
	if err != nil {
		return err
	}
	if given.Database.Reveal() != "" || given.MasterKeyFile != "" {
		return errors.New("--demo makes its own database and master key, and would put a client that anyone may know into yours: unset database and master_key_file, or leave out --demo")
	}
	if err := os.MkdirAll(demoFolder, 0o700); err != nil {
		return err
	}
	master := filepath.Join(demoFolder, "master.key")
	if err := masterkey.Write(master, ""); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	demo := *t
	demo.environ = append(demo.environ[:len(demo.environ):len(demo.environ)],
		"INGAM_DATABASE=sqlite:"+filepath.Join(demoFolder, "ingam.db"),
		"INGAM_MASTER_KEY_FILE="+master)
	if given.Issuer.String() == "" {
		_, port, err := net.SplitHostPort(given.Listen)
		if err != nil || port == "0" {
			return errors.New("--demo with port 0 needs --issuer, which names the port")
		}
		demo.environ = append(demo.environ, "INGAM_ISSUER=http://127.0.0.1:"+port)
	}
	cfg, err := demo.load(cmd, config.ForServe)
	if err != nil {
		return err
	}
	return serveDemoOn(cmd.Context(), &demo, cfg)
}

// serveDemoOn is serve with the demonstration's records in the database, and with its
// app next to the server.
func serveDemoOn(ctx context.Context, t *terminal, cfg *config.Config) (err error) {
	// With another port the issuer changes too, and nobody relies on the former one.
	f, err := openFoundation(ctx, t, cfg, serveOptions{acceptIssuer: true}, storage.Options{Serving: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.store.Close()) }()
	made, err := prepareDemo(ctx, t, f)
	if err != nil {
		return err
	}
	s, err := newServer(ctx, f)
	if err != nil {
		return err
	}
	if s.handler, err = besideDemo(cfg, s.handler); err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	t.showDemo(cfg.Issuer.String(), made)
	return s.run(ctx)
}

// demoThings are the secrets of the demonstration, which the database does not store.
type demoThings struct{ secret, password string }

// prepareDemo creates the demonstration's API, clients and user where they are missing.
// The database stores only hashes of secrets, so the secrets are kept in files next to
// it.
func prepareDemo(ctx context.Context, t *terminal, f *foundation) (made demoThings, err error) {
	own, err := ownScopes(f.cfg)
	if err != nil {
		return made, err
	}
	store, issuer, catalog := f.store, f.cfg.Issuer.String(), catalog.New(f.store, own, f.now, nil)
	registry := clients.NewRegistry(store, catalog, t.now, nil, clients.PKCERequired)
	if made.secret, err = prepareDemoClient(ctx, t, store, catalog); err != nil {
		return made, err
	}
	// Its redirect URIs belong to this issuer, which may differ from the last start's.
	err = registry.Delete(ctx, demoApp, nil, "made anew", demoActor)
	if err != nil && !errors.Is(err, clients.ErrNotFound) {
		return made, err
	}
	_, _, err = registry.Create(ctx, clients.Client{
		ID: demoApp, Name: demoAppName, Grants: []string{clients.AuthorizationCode, clients.RefreshToken},
		RedirectURIs: []string{issuer + demoPath}, PostLogoutRedirectURIs: []string{issuer + demoPath},
		Scopes:    []string{apis.OpenID, apis.Profile, apis.Email, "read"},
		Audiences: []string{demoAudience}, Auth: clients.None,
	}, "", "", demoActor)
	if err != nil {
		return made, err
	}
	made.password, err = prepareDemoUser(ctx, t, store)
	return made, err
}

// prepareDemoUser creates a user who can sign in, and returns the password.
func prepareDemoUser(ctx context.Context, t *terminal, store *storage.Store) (password string, err error) {
	hasher, err := passwords.New(0, passwords.Recommended)
	if err != nil {
		return "", err
	}
	users := accounts.NewUsers(store, hasher, t.now)
	kept := filepath.Join(demoFolder, "user-password")
	user, err := users.ByName(ctx, demoUser)
	if err == nil {
		if b, err := os.ReadFile(kept); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
		err = users.Delete(ctx, user.ID, nil, "its password was lost", demoActor)
	}
	if err != nil && !errors.Is(err, accounts.ErrNotFound) {
		return "", err
	}
	password = rand.Text()[:12]
	_, err = users.Create(ctx, accounts.User{
		Username: demoUser, Email: "demo@example.com", Roles: []string{"reader"}, Claims: accounts.Claims{"name": json.RawMessage(`"Demo Person"`)},
	}, password, demoActor)
	if err != nil {
		return "", err
	}
	return password, os.WriteFile(kept, []byte(password+"\n"), 0o600)
}

func prepareDemoClient(ctx context.Context, t *terminal, store *storage.Store, offered *catalog.Catalog) (secret string, err error) {
	registry := clients.NewRegistry(store, offered, t.now, nil, clients.PKCERequired)
	_, err = offered.Create(ctx, apis.API{
		Audience: demoAudience, Name: "Demo API", Scopes: []string{"read", "write"},
		ScopeTexts: apis.ScopeTexts{
			"read":  {"en": "read your orders", "ko": "주문 내역 보기"},
			"write": {"en": "place and change orders for you", "ko": "주문하기와 주문 변경"},
		},
	}, "", demoActor)
	if err != nil && !errors.Is(err, catalog.ErrExists) {
		return "", err
	}
	kept := filepath.Join(demoFolder, "client-secret")
	_, err = registry.Client(ctx, demoClient)
	if err != nil && !errors.Is(err, clients.ErrNotFound) {
		return "", err
	}
	if err == nil {
		if b, err := os.ReadFile(kept); err == nil {
			return strings.TrimSpace(string(b)), nil
		}
		// The secret is lost, perhaps because the first start was interrupted.
		if err := registry.Delete(ctx, demoClient, nil, "its secret was lost", demoActor); err != nil {
			return "", err
		}
	}
	_, secret, err = registry.Create(ctx, clients.Client{
		ID: demoClient, Name: "Demo client", Grants: []string{clients.ClientCredentials},
		Scopes: []string{"read", "write"}, Audiences: []string{demoAudience}, Auth: clients.SecretBasic,
	}, "", "", demoActor)
	if err != nil {
		return "", err
	}
	return secret, os.WriteFile(kept, []byte(secret+"\n"), 0o600)
}

func (t *terminal) showDemo(issuer string, made demoThings) {
	secret := made.secret
	get := fmt.Sprintf("curl -s -u %s:%s -d grant_type=client_credentials %s", demoClient, secret, issuer+web.PathToken)
	fmt.Fprintf(t.stdout, `
This is a DEMONSTRATION of Ingam, and not for real use: its keys, its database and
the secret below lie open in ./%s. Delete that folder to start over.

  issuer  %s
  keys    %s
  client  %s, which may ask for "read write" at %s

Get an access token:

  %s

Get one and check it against the published keys, as a resource server does:

  %s | %s token verify --issuer %s --audience %s

Sign in as a person does, and see the tokens decoded, at

  %s

  user name  %s
  password   %s

Stop with Ctrl-C.

`, demoFolder, issuer, issuer+web.PathJWKS, demoClient, demoAudience, get, get, self(), issuer, demoAudience, issuer+demoPath, demoUser, made.password)
}

// self returns the command by which this binary was started, for use in a shell.
func self() string {
	// "go run" builds into a folder that is deleted when it ends.
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/ingam"
	}
	return shellWord(os.Args[0])
}

// shellWord quotes s so that a shell takes it as one word, whatever it contains.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
