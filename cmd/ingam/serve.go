package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/storage"
)

func serveCommand(t *terminal) *cobra.Command {
	var migrate, demonstrate, acceptIssuer bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: "Run the server. It needs an issuer, a database and a master key. With --demo it creates\n" +
			"all three and a client to try, in ./" + demoFolder + ".",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if demonstrate {
				return serveDemo(t, cmd)
			}
			cfg, err := t.load(cmd, config.ForServe)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), t, cfg, serveOptions{migrate: migrate, acceptIssuer: acceptIssuer})
		},
	}
	f := cmd.Flags()
	f.BoolVar(&migrate, "migrate", false, "migrate an older schema first (SQLite is always migrated)")
	f.BoolVar(&acceptIssuer, "accept-issuer", false, "start on a database of another issuer: all its tokens end, and apps see every user as a new one")
	f.BoolVar(&demonstrate, "demo", false, "run a demonstration, with its own database, keys and client, in ./"+demoFolder)
	return cmd
}

type serveOptions struct {
	migrate bool
	// acceptIssuer allows an issuer other than the one that the database belongs to.
	acceptIssuer bool
}

// serve runs the server until ctx ends: it opens the foundation, builds the server on
// it, listens, serves, and closes what it opened.
func serve(ctx context.Context, t *terminal, cfg *config.Config, opts serveOptions) (err error) {
	f, err := openFoundation(ctx, t, cfg, opts, storage.Options{Serving: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.store.Close()) }()
	s, err := newServer(ctx, f)
	if err != nil {
		return err
	}
	if err := s.listen(ctx); err != nil {
		return err
	}
	return s.run(ctx)
}
