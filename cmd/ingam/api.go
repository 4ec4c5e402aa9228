package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/catalog"
)

func apiCommand(t *terminal) *cobra.Command {
	return group("api", "The APIs that tokens are made for", apiCreate(t), apiList(t), apiShow(t), apiUpdate(t), apiDelete(t))
}

type apiJSON struct {
	ID       string   `json:"id"`
	Audience string   `json:"audience"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	// ScopeTexts are by scope and language.
	ScopeTexts map[string]map[string]string `json:"scope_texts,omitempty"`
	// Kept are those of the scopes whose names are otherwise the server's own.
	Kept      []string `json:"kept_scopes,omitempty"`
	AccessTTL string   `json:"access_ttl,omitempty"`
	Roles     bool     `json:"roles"`
	TokenType string   `json:"token_typ"`
	CreatedAt *string  `json:"created_at"`
}

func newAPIJSON(a apis.API, own *apis.Own) apiJSON {
	j := apiJSON{ID: a.ID, Audience: a.Audience, Name: a.Name, Scopes: a.Scopes, Kept: own.Kept(a), Roles: a.Roles, TokenType: string(a.TokenType), CreatedAt: instant(a.CreatedAt)}
	for _, scope := range a.Scopes {
		if texts := a.ScopeText(scope); len(texts) > 0 {
			if j.ScopeTexts == nil {
				j.ScopeTexts = map[string]map[string]string{}
			}
			j.ScopeTexts[scope] = texts
		}
	}
	if a.AccessTTL != 0 {
		j.AccessTTL = a.AccessTTL.String()
	}
	return j
}

// apiFlags are what an API is registered with, its audience aside.
type apiFlags struct {
	name, scope string
	scopes      listEdit
	texts       [2]scopeTextFlag // as scopeTextFlags
	ttl         durationFlag
	roles       bool
	tokenType   string
}

func (a *apiFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&a.name, "name", "", "the name that users see")
	f.StringVar(&a.scope, "scope", "", "the scopes that the API offers, separated by spaces; not the server's own, such as openid or phone")
	for i, flag := range scopeTextFlags {
		f.Var(&a.texts[i], flag.name, flag.usage)
	}
	f.Var(&a.ttl, "access-ttl", `life of access tokens for the API, from 1m to 24h, or "default" (the server's tokens.access_ttl)`)
	f.BoolVar(&a.roles, "roles", false, "put the user's roles into access tokens for the API")
	f.StringVar(&a.tokenType, "token-typ", string(apis.ATJWT), "the typ of access tokens for the API: at+jwt, or JWT for a library that accepts nothing else. ID tokens have the typ JWT too, so such an API must check aud, which in an ID token is a client id")
}

// apply changes what was given.
func (a *apiFlags) apply(f *pflag.FlagSet, api *apis.API) (err error) {
	if f.Changed("name") {
		api.Name = a.name
	}
	if f.Changed("roles") {
		api.Roles = a.roles
	}
	if f.Changed("token-typ") {
		api.TokenType = apis.TokenType(a.tokenType)
	}
	if f.Changed("access-ttl") {
		api.AccessTTL = 0
		if a.ttl.of != nil {
			if api.AccessTTL = *a.ttl.of; api.AccessTTL == 0 {
				return fmt.Errorf("%w: --access-ttl is zero", apis.ErrInvalid)
			}
		}
	}
	if f.Changed("scope") {
		if api.Scopes, err = apis.ParseScope(a.scope); err != nil {
			return err
		}
	}
	if err := a.scopes.apply(f, &api.Scopes); err != nil {
		return err
	}
	for i, flag := range scopeTextFlags {
		if err := a.texts[i].apply(api, flag.language); err != nil {
			return fmt.Errorf("--%s: %w", flag.name, err)
		}
	}
	return nil
}

// scopeTextFlags are the flags that say what scopes allow, each in a language.
var scopeTextFlags = [...]struct{ name, language, usage string }{
	{"scope-text", "en", `what a scope allows, for the consent page, as the end of "the application would like to …", such as read="read your orders" (repeatable)`},
	{"scope-text-ko", "ko", `the same in Korean, such as read="주문 내역 보기" (repeatable)`},
}

// scopeTextFlag is a text each for some scopes.
type scopeTextFlag struct{ values []string }

func (*scopeTextFlag) Type() string   { return "SCOPE=TEXT" }
func (*scopeTextFlag) String() string { return "" }

func (s *scopeTextFlag) Set(value string) error {
	if !strings.Contains(value, "=") {
		return errors.New(`it has no equals sign; write for example read="read your orders"`)
	}
	s.values = append(s.values, value)
	return nil
}

// apply gives the texts to an API that has its scopes by now; an empty one is taken
// away.
func (s *scopeTextFlag) apply(a *apis.API, language string) error {
	seen := map[string]bool{}
	for _, value := range s.values {
		scope, text, _ := strings.Cut(value, "=")
		// An equals sign may be part of the scope.
		for _, offered := range a.Scopes {
			if rest, ok := strings.CutPrefix(value, offered+"="); ok && len(offered) > len(scope) {
				scope, text = offered, rest
			}
		}
		if !slices.Contains(a.Scopes, scope) {
			return fmt.Errorf("the API does not offer the scope %q; it offers: %s", scope, strings.Join(a.Scopes, " "))
		}
		if seen[scope] {
			return fmt.Errorf("the scope %s is given twice", scope)
		}
		seen[scope] = true
		a.SetScopeText(scope, language, text)
	}
	return nil
}

func apiCreate(t *terminal) *cobra.Command {
	var (
		a      apis.API
		flags  apiFlags
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   `create --audience A --name N --scope "read write"`,
		Short: "Register an API",
		Args:  exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "audience", "name", "scope"); err != nil {
				return err
			}
			if err := flags.apply(cmd.Flags(), &a); err != nil {
				return err
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				created, err := c.apis.Create(cmd.Context(), a, c.actor)
				if err != nil {
					return named("API "+a.Audience, err)
				}
				if asJSON {
					return t.printJSON(newAPIJSON(created, c.apis.Own()))
				}
				fmt.Fprintf(t.stdout, "created API %s\n", created.Audience)
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&a.Audience, "audience", "", "the aud of access tokens for the API, usually its URL")
	flags.bind(f)
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiList(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the APIs", Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				list, err := c.apis.List(cmd.Context())
				if err != nil {
					return err
				}
				if asJSON {
					out := make([]apiJSON, len(list))
					for i, a := range list {
						out[i] = newAPIJSON(a, c.apis.Own())
					}
					return t.printJSON(out)
				}
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "AUDIENCE\tNAME\tSCOPE\tACCESS TTL\tROLES")
				for _, a := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%t\n", a.Audience, a.Name, strings.Join(a.Scopes, " "), c.ttlText(a), a.Roles)
				}
				if err := w.Flush(); err != nil {
					return err
				}
				for _, a := range list {
					if kept := c.apis.Own().Kept(a); len(kept) > 0 {
						fmt.Fprintf(t.stdout, "%s offered %s before the server had scopes of these names: for clients of this API they are the API's.\n", a.Audience, strings.Join(kept, ", "))
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiShow(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show AUDIENCE", Short: "Show an API", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				a, err := c.apis.ByAudience(cmd.Context(), args[0])
				if err != nil {
					return named("API "+args[0], err)
				}
				if asJSON {
					return t.printJSON(newAPIJSON(a, c.apis.Own()))
				}
				rows := [][2]string{
					{"audience", a.Audience},
					{"id", a.ID},
					{"name", a.Name},
					{"scope", strings.Join(a.Scopes, " ")},
				}
				for _, scope := range a.Scopes {
					texts := a.ScopeText(scope)
					for _, language := range slices.Sorted(maps.Keys(texts)) {
						rows = append(rows, [2]string{scope + " (" + language + ")", texts[language]})
					}
				}
				rows = append(rows, [][2]string{
					{"access TTL", c.ttlText(a)},
					{"roles", fmt.Sprint(a.Roles)},
					{"token typ", string(a.TokenType)},
					{"created", text(a.CreatedAt)},
				}...)
				w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
				for _, row := range rows {
					fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
				}
				return w.Flush()
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiUpdate(t *terminal) *cobra.Command {
	var (
		flags  apiFlags
		reason string
		asJSON bool
	)
	cmd := &cobra.Command{
		Use:   "update AUDIENCE",
		Short: "Change an API; what was issued stays",
		Long: `Change an API. A flag replaces a value; without a flag the value stays. Nothing ends.
If you remove a scope, new tokens lack it from the next refresh on, and introspection
does not show it. If you add it again, the grants that had it have it again.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := somethingGiven(cmd); err != nil {
				return err
			}
			return t.withConcerns(cmd, func(c *concerns) error {
				var offered []string
				a, changed, err := c.apis.Update(cmd.Context(), args[0], func(a *apis.API) error {
					offered = a.Scopes
					return flags.apply(cmd.Flags(), a)
				}, reason, c.actor)
				if err != nil {
					return named("API "+args[0], err)
				}
				if changed {
					if err := c.warnUnoffered(cmd, a, offered); err != nil {
						return err
					}
					c.settle(cmd.Context())
				}
				if asJSON {
					return t.printJSON(newAPIJSON(a, c.apis.Own()))
				}
				t.updated(changed, "API", a.Audience)
				return nil
			})
		},
	}
	f := cmd.Flags()
	flags.bind(f)
	flags.scopes.split = apis.ParseScope
	flags.scopes.bind(f, "scope")
	for _, flag := range scopeTextFlags {
		f.Lookup(flag.name).Usage += "; SCOPE= removes the text"
	}
	fix(f, "audience", "an API's audience cannot be changed: clients and tokens name it", false)
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// warnUnoffered says which clients name scopes that an API offered and no API of
// theirs offers now.
func (c *concerns) warnUnoffered(cmd *cobra.Command, a apis.API, before []string) error {
	all, err := c.apis.List(cmd.Context())
	if err != nil {
		return err
	}
	named, err := c.clients.List(cmd.Context())
	if err != nil {
		return err
	}
	for _, client := range named {
		lost := slices.DeleteFunc(client.Unoffered(all, c.apis.Own()), func(scope string) bool { return !slices.Contains(before, scope) })
		if slices.Contains(client.Audiences, a.Audience) && len(lost) > 0 {
			fmt.Fprintf(c.t.stderr, "client %s still names the scope %s, which none of its APIs offers now: it gets no more tokens for that scope\n",
				client.ID, strings.Join(lost, " "))
		}
	}
	return nil
}

func apiDelete(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "delete AUDIENCE", Short: "Delete an API that no client is registered for", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				err := c.apis.Delete(cmd.Context(), args[0], c.actor)
				err = named("API "+args[0], err)
				if errors.Is(err, catalog.ErrInUse) {
					return fmt.Errorf("%w; first, for each: ingam client update ID --remove-audience %s", err, args[0])
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(t.stdout, "deleted API %s\n", args[0])
				return nil
			})
		},
	}
}

// ttlText is how long access tokens for an API live.
func (c *concerns) ttlText(a apis.API) string {
	if a.AccessTTL == 0 {
		return fmt.Sprintf("%s (default)", c.cfg.Tokens.AccessTTL.Std())
	}
	return a.AccessTTL.String()
}
