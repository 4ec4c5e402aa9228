package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/accounts"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/status/indices"
	"github.com/ingam/ingam/authz/status/listeners"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/config/limits"
)

// revoking is what `ingam revoke` was asked for.
type revoking struct {
	t                                    *terminal
	cmd                                  *cobra.Command
	client, grant, user, session, reason string
	// jti is a token that an API logged, with what else it logged of it.
	jti, statusList, expires      string
	statusIndex                   int64
	fromStdin, everything, dryRun bool
	wait                          time.Duration
}

// aim is one thing to revoke: what it would end, and how to.
type aim struct {
	kind    changes.Kind
	subject string
	// made is what is said once it is done.
	made string
	cut  func(ctx context.Context) error
	// settles is whether servers that do not know of the cut yet make tokens that
	// are cut at birth.
	settles bool
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
				// What is given here gets into the audit log, and a token must not.
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
		// From standard input: an argument would stand in the process list and in
		// the shell's history.
		token, err := readToken(r.t.stdin)
		if err != nil {
			return err
		}
		return r.t.withConcerns(r.cmd, func(c *concerns) error {
			a, err := r.atToken(c, token)
			if err != nil {
				return err
			}
			return r.carryOut(c, a)
		}, config.ForIssuer)
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

func (r *revoking) aim(c *concerns) (aim, error) {
	switch ctx := r.cmd.Context(); {
	case r.everything:
		return aim{
			kind: changes.Everything, made: "revoked everything that was issued so far", settles: true,
			cut: func(ctx context.Context) error { return c.cuts.Everything(ctx, r.reason, c.actor) },
		}, nil
	case r.grant != "":
		if _, err := c.store.Grant(ctx, r.grant); err != nil {
			return aim{}, named("grant "+r.grant, err)
		}
		return r.atGrant(c, r.grant), nil
	case r.session != "":
		user, err := c.store.SessionUser(ctx, r.session)
		return aim{
			kind: changes.Session, subject: r.session, made: "ended login session " + r.session,
			cut: func(ctx context.Context) error {
				return named("session "+r.session, c.sessions().End(ctx, user, r.session, r.reason, c.actor))
			},
		}, named("session "+r.session, err)
	}
	_, err := c.store.Client(r.cmd.Context(), r.client)
	return aim{
		kind: changes.Client, subject: r.client, settles: true,
		made: fmt.Sprintf("revoked everything that was issued to client %s so far", r.client),
		cut: func(ctx context.Context) error {
			return named("client "+r.client, c.cuts.Client(ctx, r.client, r.reason, c.actor))
		},
	}, named("client "+r.client, err)
}

func (r *revoking) atGrant(c *concerns, id string) aim {
	return aim{
		kind: changes.Grant, subject: id, made: "revoked grant " + id,
		cut: func(ctx context.Context) error {
			return named("grant "+id, c.store.RevokeGrant(ctx, id, audit.Event{
				At: c.t.now(), Actor: c.actor, Action: audit.GrantCut, Subject: id, Reason: r.reason,
			}))
		},
	}
}

func (r *revoking) atToken(c *concerns, token string) (aim, error) {
	ring := c.keyring(nil)
	if err := ring.Reload(r.cmd.Context()); err != nil {
		return aim{}, err
	}
	access, err := tokens.NewIssuer(c.cfg.Issuer.String(), listsOf(c.cfg), ring, c.t.now).ReadAccess(r.cmd.Context(), token)
	if errors.Is(err, tokens.ErrInvalid) {
		return aim{}, fmt.Errorf("nothing to revoke: %w", err)
	}
	if err != nil {
		return aim{}, err
	}
	if access.GrantID != "" {
		return r.atGrant(c, access.GrantID), nil
	}
	return aim{
		kind: changes.Token, subject: access.ID,
		made: fmt.Sprintf("revoked token %s of client %s, which would have expired at %s", access.ID, access.ClientID, text(access.ExpiresAt)),
		cut: func(ctx context.Context) error {
			return c.cuts.Token(ctx, access.ID, access.ClientID, access.ExpiresAt, access.Status, r.reason, c.actor)
		},
	}, nil
}

// atLogged is the token of which an API logged the jti.
func (r *revoking) atLogged(c *concerns) (aim, error) {
	// A row that stays too long harms nobody.
	expires := c.t.now().Add(limits.MaxAccessTTL)
	if r.expires != "" {
		seconds, err := strconv.ParseInt(r.expires, 10, 64)
		if at := time.Unix(seconds, 0); err == nil {
			expires = at
		} else if expires, err = time.Parse(time.RFC3339, r.expires); err != nil {
			return aim{}, usage(r.cmd, "--expires is a number of seconds, as exp is, or a time such as 2006-01-02T15:04:05Z")
		}
		if now := c.t.now(); !now.Before(expires) {
			return aim{}, fmt.Errorf("token %s expired at %s: there is nothing to revoke", r.jti, text(expires))
		} else if expires.After(now.Add(limits.MaxAccessTTL)) {
			return aim{}, fmt.Errorf("no token lives until %s: the longest that one can live is %s", text(expires), limits.MaxAccessTTL)
		}
	}
	var ref status.Ref
	client, of := "", ""
	if r.statusList != "" {
		issuer := c.cfg.Issuer.String()
		ref.Index = r.statusIndex
		if number, err := strconv.ParseInt(r.statusList, 10, 64); err == nil {
			ref.List = number
		} else if ref.List = listsOf(c.cfg).ListOf(r.statusList); ref.List == 0 {
			return aim{}, fmt.Errorf("--status-list: %s is no status list of %s", r.statusList, issuer)
		}
		var grant string
		var err error
		client, grant, err = c.store.StatusOwner(r.cmd.Context(), ref)
		switch {
		case errors.Is(err, indices.ErrNoOwner):
			return aim{}, fmt.Errorf("no token refers to index %d of status list %d (any more)", ref.Index, ref.List)
		case err != nil:
			return aim{}, err
		case grant != "":
			// All of its tokens have that place, and a refresh brings the next one.
			return aim{}, fmt.Errorf("token %s was issued under grant %s to client %s: ingam revoke --grant %s", r.jti, grant, client, grant)
		}
		of = " of client " + client
	} else if !r.dryRun {
		fmt.Fprintln(r.t.stderr, "Verifiers that check tokens by themselves will not refuse this token: for them, also give --status-list and --status-index.")
	}
	return aim{
		kind: changes.Token, subject: r.jti, made: fmt.Sprintf("revoked token %s%s", r.jti, of),
		cut: func(ctx context.Context) error {
			return c.cuts.Token(ctx, r.jti, client, expires, ref, r.reason, c.actor)
		},
	}, nil
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

// await waits for the verifiers, and says of each whether it has applied the cut.
func (r *revoking) await(c *concerns) error {
	const unwaited = "it is revoked, but this command could not wait for the verifiers: %w"
	ctx, began := r.cmd.Context(), time.Now()
	bounded, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	done, missing, err := listeners.Await(bounded, c.store)
	if err != nil {
		return fmt.Errorf(unwaited, err)
	}
	took := time.Since(began)
	all := slices.Concat(done, missing)
	if len(all) == 0 {
		fmt.Fprintln(r.t.stdout, "no verifier is listening")
		return nil
	}
	now, err := c.store.Clock(ctx)
	if err != nil {
		return fmt.Errorf(unwaited, err)
	}
	apis := map[string]string{}
	for _, l := range all {
		client, err := c.store.Client(ctx, l.ClientID)
		if err != nil && !errors.Is(err, clients.ErrNotFound) {
			return fmt.Errorf(unwaited, err)
		}
		if len(client.Audiences) > 0 {
			apis[l.ClientID] = " (" + strings.Join(client.Audiences, " ") + ")"
		}
	}
	ofOne := func(a, b listeners.Listener) bool { return a.ClientID == b.ClientID && a.Name == b.Name }
	tell := func(some []listeners.Listener) string {
		var lines []string
		for len(some) > 0 {
			first := some[0]
			of := func(all []listeners.Listener) (n int) {
				for _, l := range all {
					if ofOne(l, first) {
						n++
					}
				}
				return n
			}
			// Of several, the one that was not heard for longest.
			heard, connections := first.SeenAt, counted(int64(of(all)), "connection")
			if n := of(some); n < of(all) {
				connections = fmt.Sprintf("%d of %s", n, connections)
			}
			some = slices.DeleteFunc(some, func(l listeners.Listener) bool {
				if ofOne(l, first) && l.SeenAt.Before(heard) {
					heard = l.SeenAt
				}
				return ofOne(l, first)
			})
			lines = append(lines, fmt.Sprintf("%s of client %s%s: %s, last heard %s ago",
				first.Name, first.ClientID, apis[first.ClientID], connections, max(0, now.Sub(heard)).Round(time.Second)))
		}
		return strings.Join(lines, "\n")
	}
	applied := counted(int64(len(done)), "verifier")
	if len(done) > 0 {
		fmt.Fprintf(r.t.stdout, "applied by %s after %s:\n%s\n", applied, took.Round(time.Millisecond), tell(done))
	}
	if len(missing) > 0 {
		return fmt.Errorf("it is revoked; within %s %s applied it. It was not applied by:\n%s", r.wait, applied, tell(missing))
	}
	return nil
}

// tell says what a cut would end.
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

// counted is a number with its noun.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
