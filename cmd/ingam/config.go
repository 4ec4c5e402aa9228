package main

import (
	"github.com/spf13/cobra"
)

func configCommand(t *terminal) *cobra.Command {
	check := &cobra.Command{
		Use:   "check",
		Short: "Check the configuration and print what is in effect, without secrets",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.load(cmd)
			if err != nil {
				return err
			}
			if _, err := newPages(cfg, ""); err != nil {
				return err
			}
			return cfg.Print(t.stdout)
		},
	}
	return group("config", "The configuration", check)
}
