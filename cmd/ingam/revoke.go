package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
	"github.com/spf13/cobra"
)

// revoking holds the flags of `ingam revoke`.
type revoking struct {
	t                                    *terminal
	cmd                                  *cobra.Command
	client, grant, user, session, reason string
	// jti is the id of a token that an API has logged; the others are what the API has
	// logged with it.
	jti, statusList, expires      string
	statusIndex                   int64
	fromStdin, everything, dryRun bool
	wait                          time.Duration
}

var likeJTI = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func revokeCommand(t *terminal) *cobra.Command {
	r := revoking{t: t}
	cmd := &cobra.Command{
		Use:   "revoke --grant G | --session S | --user U | --client C | --token-stdin | --jti J | --all",
		Short: "Revoke what was issued",
		Long: "Revoke what was issued. Introspection refuses it at once, verifiers that listen to the status\n" +
			"stream within a second, and verifiers that poll when they next fetch the status list. What is\n" +
			"issued afterwards is valid: to stop a client or a user for good, disable it.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := 0
			for _, f := range []string{"grant", "session", "user", "client", "token-stdin", "jti", "all"} {
				if cmd.Flags().Changed(f) {
					given++
				}
			}
			r.cmd = cmd
			switch {
			case given != 1 || !r.fromStdin && !r.everything && r.grant+r.session+r.user+r.client+r.jti == "":
				return usage(cmd, "give one of --grant, --session, --user, --client, --token-stdin, --jti and --all")
			case r.jti == "" && (cmd.Flags().Changed("status-list") || cmd.Flags().Changed("status-index") || cmd.Flags().Changed("expires")):
				return usage(cmd, "--status-list, --status-index and --expires go with --jti")
			case r.jti != "" && !likeJTI.MatchString(r.jti):
				// This value gets into the audit log, where a token must not be.
				return usage(cmd, "--jti is the jti of a token, such as 5PHUYPHEIDTG6VGPM5KGEUQXL4")
			case r.jti != "" && cmd.Flags().Changed("status-list") != cmd.Flags().Changed("status-index"):
				return usage(cmd, "--status-list and --status-index go together: the uri and the idx that the token has in its status")
			case r.dryRun && cmd.Flags().Changed("wait"):
				return usage(cmd, "--dry-run revokes nothing, so there is nothing to --wait for")
			case r.wait < 0:
				return usage(cmd, "--wait takes a time, such as 10s")
			}
			return r.run()
		},
	}
	f := cmd.Flags()
	f.StringVar(&r.grant, "grant", "", "revoke this grant")
	f.StringVar(&r.session, "session", "", "end this login session, and what was allowed in it without offline_access")
	f.StringVar(&r.user, "user", "", "revoke everything that was issued for this user, and end all their sessions")
	f.StringVar(&r.client, "client", "", "revoke everything that was issued to this client")
	f.BoolVar(&r.fromStdin, "token-stdin", false, "revoke the access token on standard input, and the grant that it belongs to")
	f.StringVar(&r.jti, "jti", "", "revoke the client credentials token with this jti, which an API logged")
	f.StringVar(&r.statusList, "status-list", "", "with --jti, the uri in the token's status, or the list's number; needed for verifiers that check tokens by themselves")
	f.Int64Var(&r.statusIndex, "status-index", 0, "with --jti, the idx in the token's status")
	f.StringVar(&r.expires, "expires", "", "with --jti, the token's exp, in seconds or as 2006-01-02T15:04:05Z (default the longest that a token can live)")
	f.BoolVar(&r.everything, "all", false, "revoke everything that was issued")
	f.StringVar(&r.reason, "reason", "", "why, for the audit log")
	f.BoolVar(&r.dryRun, "dry-run", false, "show what would be revoked, and revoke nothing")
	f.DurationVar(&r.wait, "wait", 0, "wait until every listening verifier has applied it, for at most this time (10s if none is given)")
	f.Lookup("wait").NoOptDefVal = "10s"
	return cmd
}

func (r *revoking) run() error {
	if r.fromStdin {
		// From standard input, because arguments are visible in the process list and in
		// the shell's history.
		token, err := readToken(r.t.stdin)
		if err != nil {
			return err
		}
		needs := []config.Need{config.ForIssuer}
		if tokens.IsEncrypted(token) {
			needs = append(needs, config.ForMasterKey)
		}
		return r.t.withConcerns(r.cmd, func(c *concerns) error {
			a, err := r.atToken(c, token)
			if err != nil {
				return err
			}
			return r.carryOut(c, a)
		}, needs...)
	}
	if r.jti != "" {
		return r.t.withConcerns(r.cmd, func(c *concerns) error {
			a, err := r.atLogged(c)
			if err != nil {
				return err
			}
			return r.carryOut(c, a)
		}, config.ForIssuer)
	}
	if r.user != "" {
		return r.t.withUsers(r.cmd, func(c *concerns, users *accounts.Users) error {
			u, err := findUser(r.cmd.Context(), users, r.user)
			if err != nil {
				return err
			}
			return r.carryOut(c, aim{
				kind: changes.User, subject: u.ID, made: fmt.Sprintf("revoked everything that was issued for user %s so far", u.Username),
				cut: func(ctx context.Context) error {
					return named("user "+r.user, c.cuts.User(ctx, u.ID, r.reason, c.actor))
				},
			})
		})
	}
	return r.t.withConcerns(r.cmd, func(c *concerns) error {
		a, err := r.aim(c)
		if err != nil {
			return err
		}
		return r.carryOut(c, a)
	})
}

func (r *revoking) carryOut(c *concerns, a aim) error {
	ctx := r.cmd.Context()
	if r.dryRun {
		return r.tell(c, a)
	}
	if err := a.cut(ctx); err != nil {
		return err
	}
	fmt.Fprintln(r.t.stdout, a.made)
	if a.settles {
		c.settle(ctx)
	}
	if !r.cmd.Flags().Changed("wait") {
		return nil
	}
	return r.await(c)
}

// tell prints what a cut would revoke.
func (r *revoking) tell(c *concerns, a aim) error {
	if a.kind == changes.Token {
		fmt.Fprintln(r.t.stdout, "would end 1 token")
		return nil
	}
	ended, err := c.cuts.WouldEnd(r.cmd.Context(), a.kind, a.subject)
	if err != nil {
		return err
	}
	said := fmt.Sprintf("would end %s in %s, %d of them refreshed in the last %d minutes",
		counted(ended.Grants, "grant"), counted(ended.Clients, "client"), ended.Refreshed, revocation.Recently/time.Minute)
	if a.kind == changes.User || a.kind == changes.Session || a.kind == changes.Everything {
		said += ", and " + counted(ended.Sessions, "login session")
	}
	if a.kind == changes.Client {
		said += ", and all its client credentials tokens"
	}
	if a.kind == changes.Everything {
		said += ", and all client credentials tokens"
	}
	fmt.Fprintln(r.t.stdout, said)
	return nil
}

// counted returns a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
