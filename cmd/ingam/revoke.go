package main

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/changes"
	"github.com/ingam/ingam/authz/revocation"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/web/admin"
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
			case r.jti != "" && !administration.IsJTI(r.jti):
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
	f.BoolVar(&r.fromStdin, "token-stdin", false, "revoke the access or refresh token on standard input, and the grant that it belongs to")
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
	target, needs, err := r.target()
	if err != nil {
		return err
	}
	return r.t.withAdmin(r.cmd, func(api *adminAPI) error { return r.carryOut(api, target) }, needs...)
}

// target returns what to cut, and which settings that takes.
func (r *revoking) target() (t administration.Target, needs []config.Need, err error) {
	t = administration.Target{Grant: r.grant, Session: r.session, User: r.user, Client: r.client, JTI: r.jti, Everything: r.everything}
	switch {
	case r.fromStdin:
		// From standard input, because arguments are visible in the process list and in
		// the shell's history.
		if t.Token, err = readToken(r.t.stdin); err != nil {
			return t, nil, err
		}
		if needs = append(needs, config.ForIssuer); tokens.IsEncrypted(t.Token) {
			needs = append(needs, config.ForMasterKey)
		}
	case r.jti != "":
		needs = append(needs, config.ForIssuer)
		if t.StatusList = r.statusList; t.StatusList != "" {
			t.StatusIndex = &r.statusIndex
		}
		t.Expires, err = r.exp()
	}
	return t, needs, err
}

// exp returns the time in --expires, as a token has it; zero if there is none.
func (r *revoking) exp() (int64, error) {
	if r.expires == "" {
		return 0, nil
	}
	if seconds, err := strconv.ParseInt(r.expires, 10, 64); err == nil {
		return seconds, nil
	}
	at, err := time.Parse(time.RFC3339, r.expires)
	if err != nil {
		return 0, usage(r.cmd, "--expires is a number of seconds, as exp is, or a time such as 2006-01-02T15:04:05Z")
	}
	return at.Unix(), nil
}

func (r *revoking) carryOut(api *adminAPI, target administration.Target) error {
	query := reasoned(r.reason)
	if r.dryRun {
		query.Set("dry_run", "true")
	}
	// Servers that do not know of these cuts yet issue tokens that are revoked from the
	// beginning.
	api.settles = r.everything || r.client != ""
	var cut admin.Cut
	if _, err := api.do(r.cmd.Context(), request{method: http.MethodPost, path: "/cuts", query: query, body: target}, &cut); err != nil {
		return r.named(err)
	}
	if r.dryRun {
		return r.tell(cut)
	}
	for _, warning := range cut.Warnings {
		fmt.Fprintln(r.t.stderr, asFlags.Replace(warning))
	}
	fmt.Fprintln(r.t.stdout, made(cut))
	if !r.cmd.Flags().Changed("wait") {
		return nil
	}
	return r.await(api)
}

// asFlags writes the members of a target as the flags of the command.
var asFlags = strings.NewReplacer("status_list", "--status-list", "status_index", "--status-index")

// named adds to a refusal what it is about.
func (r *revoking) named(err error) error {
	for _, of := range []struct{ flag, value string }{{"grant", r.grant}, {"session", r.session}, {"user", r.user}, {"client", r.client}} {
		if of.value != "" {
			return named(of.flag+" "+of.value, err)
		}
	}
	var p *problemError
	if errors.As(err, &p) && len(p.Errors) > 0 && p.Errors[0].Pointer == "/status_list" {
		return fmt.Errorf("--status-list: %w", err)
	}
	return err
}

// made says what was revoked.
func made(cut admin.Cut) string {
	switch changes.Kind(cut.Kind) {
	case changes.Grant:
		return "revoked grant " + cut.Subject
	case changes.Session:
		return "ended login session " + cut.Subject
	case changes.User:
		return fmt.Sprintf("revoked everything that was issued for user %s so far", cut.Username)
	case changes.Client:
		return fmt.Sprintf("revoked everything that was issued to client %s so far", cut.Subject)
	case changes.Everything:
		return "revoked everything that was issued so far"
	}
	said := "revoked token " + cut.Subject
	if cut.ClientID != "" {
		said += " of client " + cut.ClientID
	}
	if cut.ExpiresAt != nil {
		said += ", which would have expired at " + instantText(cut.ExpiresAt)
	}
	return said
}

// tell prints what a cut would revoke.
func (r *revoking) tell(cut admin.Cut) error {
	kind, ended := changes.Kind(cut.Kind), cut.WouldEnd
	if kind == changes.Token {
		fmt.Fprintln(r.t.stdout, "would end 1 token")
		return nil
	}
	said := fmt.Sprintf("would end %s in %s, %d of them refreshed in the last %d minutes",
		counted(ended.Grants, "grant"), counted(ended.Clients, "client"), ended.Refreshed, revocation.Recently/time.Minute)
	if kind == changes.User || kind == changes.Session || kind == changes.Everything {
		said += ", and " + counted(ended.Sessions, "login session")
	}
	if kind == changes.Client {
		said += ", and all its client credentials tokens"
	}
	if kind == changes.Everything {
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
