package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys/masterkey"
	"github.com/ingam/ingam/storage"
	"github.com/ingam/ingam/web"
	"github.com/ingam/ingam/web/admin"
)

// demoFolder contains everything that the demonstration creates.
const demoFolder = "ingam-demo"

const demoAppName = "Demo app"

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

func (t *terminal) showDemo(issuer string, made demoThings) {
	get := func(client, secret string) string {
		return fmt.Sprintf("curl -s -u %s:%s -d grant_type=client_credentials %s", client, secret, issuer+web.PathToken)
	}
	token := get(demoClient, made.clientSecret)
	administer := issuer + admin.Path
	fmt.Fprintf(t.stdout, `
This is a DEMONSTRATION of Ingam, and not for real use: its keys, its database and
the secrets below lie open in ./%s. Delete that folder to start over.

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

Then list what that person has allowed, and revoke one of it, in place of GRANT:

  token=$(%s | sed 's/.*"access_token":"//; s/".*//')
  curl -s -H "Authorization: Bearer $token" '%s/grants?user=%s'
  curl -s -X POST -H "Authorization: Bearer $token" %s/grants/GRANT/revoke

`, demoFolder, issuer, issuer+web.PathJWKS, demoClient, demoAudience, token, token, self(), issuer, demoAudience,
		issuer+demoPath, demoUser, made.password, get(demoAdminClient, made.adminSecret), administer, made.userID, administer)
	if made.adminPassword != "" {
		fmt.Fprintf(t.stdout, `Or sign in as an administrator, and use the commands:

  %s login --server %s

  user name  %s
  password   %s

`, self(), issuer, demoAdmin, made.adminPassword)
	}
	fmt.Fprint(t.stdout, "Stop with Ctrl-C.\n\n")
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
