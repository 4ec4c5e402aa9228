package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/clients"
)

func clientCommand(t *terminal) *cobra.Command {
	return group("client", "The applications that ask for tokens",
		clientCreate(t), clientList(t), clientShow(t), clientUpdate(t),
		clientChange(t, "disable", "Refuse a client everything until it is enabled", "disabled", (*clients.Registry).Disable),
		clientChange(t, "enable", "Take a disable back", "enabled", (*clients.Registry).Enable),
		clientChange(t, "delete", "Remove a client; what was issued to it no longer stands", "deleted", (*clients.Registry).Delete),
		group("secret", "Rotate a client's secret", secretAdd(t), secretRemove(t)),
	)
}

type clientJSON struct {
	ID                     string       `json:"client_id"`
	Name                   string       `json:"name"`
	Grants                 []string     `json:"grant_types"`
	RedirectURIs           []string     `json:"redirect_uris"`
	Scopes                 []string     `json:"scopes"`
	Audiences              []string     `json:"audiences"`
	Auth                   string       `json:"token_endpoint_auth_method"`
	PostLogoutRedirectURIs []string     `json:"post_logout_redirect_uris"`
	InsecureRedirects      bool         `json:"insecure_redirects,omitempty"`
	PKCE                   string       `json:"pkce"`
	RefreshGrace           *string      `json:"refresh_grace"`
	RefreshIDToken         bool         `json:"refresh_id_token"`
	IDTokenClaims          bool         `json:"id_token_claims"`
	FirstParty             bool         `json:"first_party"`
	Hold                   string       `json:"hold,omitempty"`
	Origins                []string     `json:"origins,omitempty"`
	Disabled               bool         `json:"disabled"`
	Secrets                []secretJSON `json:"secrets"`
	CreatedAt              *string      `json:"created_at"`
	// ClientSecret is there once: in the answer that made it.
	ClientSecret string `json:"client_secret,omitempty"`
}

type secretJSON struct {
	ID           string  `json:"id"`
	CreatedAt    *string `json:"created_at"`
	ClientSecret string  `json:"client_secret,omitempty"`
}

func newClientJSON(c clients.Client) clientJSON {
	secrets := make([]secretJSON, len(c.Secrets))
	for i, s := range c.Secrets {
		secrets[i] = secretJSON{ID: s.ID, CreatedAt: instant(s.CreatedAt)}
	}
	list := func(s []string) []string { return append([]string{}, s...) } // [], never null
	var grace *string
	if c.RefreshGrace != nil {
		s := c.RefreshGrace.String()
		grace = &s
	}
	return clientJSON{
		ID: c.ID, Name: c.Name, Grants: list(c.Grants), RedirectURIs: list(c.RedirectURIs),
		Scopes: list(c.Scopes), Audiences: list(c.Audiences), Auth: string(c.Auth),
		PostLogoutRedirectURIs: list(c.PostLogoutRedirectURIs), InsecureRedirects: c.InsecureRedirects, PKCE: string(c.PKCE), RefreshGrace: grace, RefreshIDToken: !c.NoRefreshIDToken, IDTokenClaims: !c.NoIDTokenClaims,
		FirstParty: c.FirstParty, Hold: string(c.Hold), Origins: c.Origins, Disabled: c.Disabled, Secrets: secrets, CreatedAt: instant(c.CreatedAt),
	}
}

// clientFlags are the flags by which a client is registered, and changed later: all
// that is not settled for good when it is created.
type clientFlags struct {
	given clients.Client
	scope string
	hold  string
	pkce  string
	grace durationFlag
	// idTokenClaims is true unless the flag says otherwise.
	idTokenClaims bool
	edits         clientEdits
}

// clientEdits are what only an update has.
type clientEdits struct {
	grants, redirectURIs, postLogoutRedirectURIs, scopes, audiences, origins listEdit
}

func (e *clientEdits) bind(f *pflag.FlagSet) {
	e.postLogoutRedirectURIs.spelt, e.audiences.spelt = true, true
	e.scopes.split = apis.ParseScope
	e.grants.split = func(s string) ([]string, error) { return strings.Split(s, ","), nil }
	e.grants.bind(f, "grant")
	e.redirectURIs.bind(f, "redirect-uri")
	e.postLogoutRedirectURIs.bind(f, "post-logout-redirect-uri")
	e.scopes.bind(f, "scope")
	e.audiences.bind(f, "audience")
	e.origins.bind(f, "origin")
}

func (e *clientEdits) apply(f *pflag.FlagSet, c *clients.Client) error {
	return errors.Join(
		e.grants.apply(f, &c.Grants),
		e.redirectURIs.apply(f, &c.RedirectURIs),
		e.postLogoutRedirectURIs.apply(f, &c.PostLogoutRedirectURIs),
		e.scopes.apply(f, &c.Scopes),
		e.audiences.apply(f, &c.Audiences),
		e.origins.apply(f, &c.Origins),
	)
}

// bind adds the flags to those of a command.
func (r *clientFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&r.given.Name, "name", "", "the name that users see")
	f.StringSliceVar(&r.given.Grants, "grant", nil, "a grant type that the client may use: client_credentials, authorization_code, refresh_token, first_party (repeatable)")
	f.StringArrayVar(&r.given.RedirectURIs, "redirect-uri", nil, "a redirect URI of the client; it must match exactly, except the port of a loopback address (repeatable)")
	f.BoolVar(&r.given.InsecureRedirects, "insecure-redirects", false, "accept http redirect URIs that are not loopback addresses; only for a network of your own, because everyone on the network path can read codes and change pages")
	f.StringArrayVar(&r.given.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "a URI to which users may return after sign-out (repeatable; default: the redirect URIs)")
	f.StringVar(&r.pkce, "pkce", "", "what the client must send to protect the authorization code: required (PKCE), nonce (PKCE, or a nonce if an ID token is granted) or optional (neither; only for a client with a secret that supports nothing else) (default: without a secret required, otherwise the server's clients.pkce)")
	f.Var(&r.grace, "refresh-grace", `for how long a repeated refresh gets the same answer, 0s for never, or "default" (the server's tokens.refresh_grace)`)
	f.BoolVar(&r.given.NoRefreshIDToken, "no-refresh-id-token", false, "issue no ID token at a refresh")
	f.BoolVar(&r.idTokenClaims, "id-token-claims", true, "put the claims of the scopes into ID tokens; with =false they are only at userinfo, for an app that sends ID tokens as id_token_hint, because URLs are kept in logs and histories")
	f.StringVar(&r.scope, "scope", "", "the scopes that the client may ask for, separated by spaces")
	f.StringArrayVar(&r.given.Audiences, "audience", nil, "the audience of an API that the client may use; the first is the default (repeatable)")
	f.BoolVar(&r.given.FirstParty, "skip-consent", false, "do not ask users for consent; only for your own apps")
	f.StringVar(&r.hold, "hold", "", "with first_party, where the refresh token is kept: memory (by the app) or cookie (in the browser) (default memory; with --origin cookie)")
	f.StringArrayVar(&r.given.Origins, "origin", nil, "with --hold cookie, a web origin of the app, on the server's own site (repeatable)")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == "first-party" { // what it was called: too close to the grant first_party
			name = "skip-consent"
		}
		return pflag.NormalizedName(name)
	})
}

// apply writes to a client what the flags that were given say, and leaves the rest
// of it as it is.
func (r *clientFlags) apply(f *pflag.FlagSet, c *clients.Client) error {
	scopes, err := apis.ParseScope(r.scope)
	if err != nil {
		return err
	}
	signedIn := slices.Contains(c.Grants, clients.SignIn)
	for flag, write := range map[string]func(){
		"name":                     func() { c.Name = r.given.Name },
		"grant":                    func() { c.Grants = r.given.Grants },
		"redirect-uri":             func() { c.RedirectURIs = r.given.RedirectURIs },
		"insecure-redirects":       func() { c.InsecureRedirects = r.given.InsecureRedirects },
		"post-logout-redirect-uri": func() { c.PostLogoutRedirectURIs = r.given.PostLogoutRedirectURIs },
		"pkce":                     func() { c.PKCE = clients.PKCE(r.pkce) },
		"refresh-grace":            func() { c.RefreshGrace = r.grace.of },
		"no-refresh-id-token":      func() { c.NoRefreshIDToken = r.given.NoRefreshIDToken },
		"id-token-claims":          func() { c.NoIDTokenClaims = !r.idTokenClaims },
		"scope":                    func() { c.Scopes = scopes },
		"audience":                 func() { c.Audiences = r.given.Audiences },
		"skip-consent":             func() { c.FirstParty = r.given.FirstParty },
		"hold":                     func() { c.Hold = clients.Hold(r.hold) },
		"origin":                   func() { c.Origins = r.given.Origins },
	} {
		if f.Changed(flag) {
			write()
		}
	}
	if err := r.edits.apply(f, c); err != nil {
		return err
	}
	signsIn, asked := slices.Contains(c.Grants, clients.SignIn), f.Changed("skip-consent")
	switch {
	case signsIn && asked && !c.FirstParty:
		return fmt.Errorf("--skip-consent=false does not go with the grant %s: the app asks for the password itself, and users are not asked for consent", clients.SignIn)
	case signedIn && !signsIn && !asked:
		// It came with the grant, and nobody has to think of it when that goes.
		c.FirstParty = false
	}
	return nil
}

// onSite checks a client's origins, where the server's settings are known: a command
// may run without them.
func (c *concerns) onSite(of clients.Client) error {
	if issuer := c.cfg.Issuer.String(); issuer != "" {
		return of.OnSite(issuer)
	}
	return nil
}

func clientCreate(t *terminal) *cobra.Command {
	var (
		flags                clientFlags
		id, auth, secretFile string
		asJSON               bool
	)
	cmd := &cobra.Command{
		Use:   `create --id ID --name N --grant G… --scope "a b" --auth METHOD`,
		Short: "Register a client",
		Long:  "Register a client. A generated secret is shown once, here, and cannot be shown again.",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "id", "name", "auth"); err != nil {
				return err
			}
			c := clients.Client{ID: id, Auth: clients.AuthMethod(auth)}
			if err := flags.apply(cmd.Flags(), &c); err != nil {
				return err
			}
			given, err := readSecret(secretFile)
			if err != nil {
				return err
			}
			return t.withConcerns(cmd, func(con *concerns) error {
				if err := con.onSite(c); err != nil {
					return err
				}
				created, secret, err := con.clients.Create(cmd.Context(), c, given, con.actor)
				if err != nil {
					return named("client "+id, err)
				}
				t.warn(created)
				if given != "" {
					secret = "" // whoever brought it along knows it
				}
				if asJSON {
					j := newClientJSON(created)
					j.ClientSecret = secret
					return t.printJSON(j)
				}
				fmt.Fprintf(t.stdout, "created client %s\n", created.ID)
				t.showSecret(secret)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&id, "id", "", "the client_id")
	f.StringVar(&auth, "auth", "", "how the client authenticates: client_secret_basic, client_secret_post, or none (a public client)")
	f.StringVar(&secretFile, "secret-file", "", "a file with the secret to use instead of a generated one, at least 32 characters")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	flags.bind(f)
	return cmd
}

// warn says what whoever registered a client should know of.
func (t *terminal) warn(c clients.Client) {
	for _, warning := range c.Warnings() {
		fmt.Fprintf(t.stderr, "warning: %s\n", warning)
	}
}

func clientUpdate(t *terminal) *cobra.Command {
	var (
		flags  clientFlags
		reason string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change a client; what was issued to it stays",
		Long: `Change a client. A flag replaces a value; without a flag the value stays. Nothing ends:
secrets, grants and refresh tokens stay. If you remove a scope or an API, new tokens lack
it from the next refresh on, and introspection does not show it. If you add it again, the
grants that had it have it again.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := somethingGiven(cmd); err != nil {
				return err
			}
			return t.withConcerns(cmd, func(con *concerns) error {
				c, changed, err := con.clients.Update(cmd.Context(), args[0], func(c *clients.Client) error {
					if err := flags.apply(cmd.Flags(), c); err != nil {
						return err
					}
					return con.onSite(*c)
				}, reason, con.actor)
				if err != nil {
					return named("client "+args[0], err)
				}
				if changed {
					t.warn(c)
					con.settle(cmd.Context())
				}
				if asJSON {
					return t.printJSON(newClientJSON(c))
				}
				t.updated(changed, "client", c.ID)
				return nil
			})
		},
	}
	f := cmd.Flags()
	flags.bind(f)
	flags.edits.bind(f)
	fix(f, "id", "a client's id cannot be changed: grants and tokens name it", false)
	fix(f, "auth", "whether a client has a secret cannot be changed; register another one", false)
	fix(f, "secret-file", "secrets are changed by: ingam client secret add ID, and ingam client secret remove ID", false)
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (t *terminal) showSecret(secret string) {
	if secret != "" {
		fmt.Fprintf(t.stdout, "client_secret: %s\n", secret)
		fmt.Fprintln(t.stderr, "Keep the secret now: it is not stored and cannot be shown again.")
	}
}

// readSecret reads a secret that was brought along; a file ends in a newline
// more often than a secret does.
func readSecret(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("--secret-file: %w", err)
	}
	secret := strings.TrimRight(string(b), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("--secret-file: %s is empty", path)
	}
	return secret, nil
}

func clientList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the clients", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				list, err := c.clients.List(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]clientJSON, len(list))
					for i, c := range list {
						out[i] = newClientJSON(c)
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "CLIENT ID\tNAME\tGRANT TYPES\tAUTH\tPKCE\tSTATE")
				for _, c := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.Name, strings.Join(c.Grants, " "), c.Auth, c.PKCE, stateText(c))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func stateText(c clients.Client) string {
	if c.Disabled {
		return "disabled"
	}
	return "enabled"
}

// consentText says whether people are asked.
func consentText(c clients.Client) string {
	if c.FirstParty {
		return "skipped"
	}
	return "asked for"
}

// idTokenText says what the ID tokens of a client tell.
func idTokenText(c clients.Client) string {
	if c.NoIDTokenClaims {
		return "who it is; the rest is at userinfo"
	}
	return "what the scopes release"
}

// holdText says how a client that signs people in by itself holds refresh tokens.
func holdText(c clients.Client) string {
	switch c.Hold {
	case clients.HoldCookie:
		return "in a cookie, from " + strings.Join(c.Origins, " ")
	case clients.HoldMemory:
		return "in its memory"
	}
	return "as the standard has it"
}

func clientShow(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show a client", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(con *concerns) error {
				c, err := con.clients.Client(cmd.Context(), args[0])
				if err != nil {
					return named("client "+args[0], err)
				}
				if asJSON {
					return t.printJSON(newClientJSON(*c))
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				for _, row := range [][2]string{
					{"client id", c.ID},
					{"name", c.Name},
					{"state", stateText(*c)},
					{"grant types", strings.Join(c.Grants, " ")},
					{"redirect URIs", strings.Join(c.RedirectURIs, " ")},
					{"after sign-out", strings.Join(c.PostLogoutRedirectURIs, " ")},
					{"scope", strings.Join(c.Scopes, " ")},
					{"audiences", strings.Join(c.Audiences, " ")},
					{"authentication", string(c.Auth)},
					{"PKCE", string(c.PKCE)},
					{"consent", consentText(*c)},
					{"ID tokens", idTokenText(*c)},
					{"refresh tokens", holdText(*c)},
					{"created", text(c.CreatedAt)},
				} {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
				for _, s := range c.Secrets {
					fmt.Fprintf(w, "secret\t%s, added %s\n", s.ID, text(s.CreatedAt))
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

type clientVerb func(d *clients.Registry, ctx context.Context, id, reason string, by audit.Actor) error

func clientChange(t *terminal, verb, short, past string, change clientVerb) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: verb + " ID", Short: short, Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				if err := change(c.clients, cmd.Context(), args[0], reason, c.actor); err != nil {
					return named("client "+args[0], err)
				}
				if verb != "enable" { // a server that is behind never refuses by what it holds
					c.settle(cmd.Context())
				}
				fmt.Fprintf(t.stdout, "%s client %s\n", past, args[0])
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

func secretAdd(t *terminal) *cobra.Command {
	var (
		secretFile string
		asJSON     bool
	)
	cmd := &cobra.Command{
		Use: "add ID", Short: "Add a second secret to a client; both work", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			given, err := readSecret(secretFile)
			if err != nil {
				return err
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				s, secret, err := c.clients.AddSecret(cmd.Context(), args[0], given, c.actor)
				if errors.Is(err, clients.ErrTooManySecrets) {
					return fmt.Errorf("client %s: %w: ingam client secret remove %s", args[0], clients.ErrTooManySecrets, args[0])
				}
				if err != nil {
					return named("client "+args[0], err)
				}
				if given != "" {
					secret = ""
				}
				if asJSON {
					return t.printJSON(secretJSON{s.ID, instant(s.CreatedAt), secret})
				}
				fmt.Fprintf(t.stdout, "added secret %s to client %s\n", s.ID, args[0])
				t.showSecret(secret)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&secretFile, "secret-file", "", "a file with the secret to use instead of a generated one, at least 32 characters")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func secretRemove(t *terminal) *cobra.Command {
	var secretID string
	cmd := &cobra.Command{
		Use: "remove ID [--secret SECRET-ID]", Short: "Remove a secret of a client: the older one, unless --secret names another", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				removed, err := c.clients.RemoveSecret(cmd.Context(), args[0], secretID, c.actor)
				switch {
				case errors.Is(err, clients.ErrLastSecret):
					return fmt.Errorf("client %s: %w: ingam client secret add %s", args[0], clients.ErrLastSecret, args[0])
				case errors.Is(err, clients.ErrSecretNotFound) && secretID != "":
					return fmt.Errorf("client %s: %w: %s", args[0], clients.ErrSecretNotFound, secretID)
				case err != nil:
					return named("client "+args[0], err)
				}
				c.settle(cmd.Context())
				fmt.Fprintf(t.stdout, "removed secret %s of client %s, which was added %s\n", removed.ID, args[0], text(removed.CreatedAt))
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&secretID, "secret", "", "the id of the secret to remove, from: ingam client show ID")
	return cmd
}
