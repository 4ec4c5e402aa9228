package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/web/admin"
)

func adminCommand(t *terminal) *cobra.Command {
	return group("admin", "The people who administer the server", adminBootstrap(t))
}

func adminBootstrap(t *terminal) *cobra.Command {
	var (
		u      accounts.User
		secret passwordFlags
		reason string
	)
	cmd := &cobra.Command{
		Use: "bootstrap --username U", Short: "Make the first administrator, on the server's own machine", Args: exactly(0),
		Long: `Make the first administrator: a user who is there already or, with a password, a new one.
It also registers the admin API and the client of "ingam login". Once there is an
administrator it refuses: that one gives others a role. For somebody who is one it only
registers what is missing after an update or with another issuer.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "username"); err != nil {
				return err
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				password := ""
				if _, err := c.users.ByName(cmd.Context(), u.Username); errors.Is(err, accounts.ErrNotFound) {
					if password, err = secret.read(cmd, t); err != nil {
						return err
					}
				}
				begin := administration.NewBeginning(c.store, c.apis, c.clients, c.users, c.cfg.Issuer.String()+admin.Path)
				made, created, err := begin.Begin(cmd.Context(), administration.Operator(c.actor), u, password, reason)
				if err != nil {
					return named("user "+u.Username, err)
				}
				end := newProgress(t.stderr).begin("waiting until every server must know of it")
				c.settle(cmd.Context())
				end()
				if created {
					fmt.Fprintf(t.stdout, "created user %s (%s)\n", made.Username, made.ID)
					secret.print(t, password)
				}
				fmt.Fprintf(t.stdout, "user %s is an administrator\n", made.Username)
				return nil
			}, config.ForIssuer)
		},
	}
	f := cmd.Flags()
	f.StringVar(&u.Username, "username", "", "the user name")
	f.StringVar(&u.Email, "email", "", "the e-mail address of a new user")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	secret.bind(cmd)
	return cmd
}
