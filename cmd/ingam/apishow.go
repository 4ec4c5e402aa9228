package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/keys"
	"github.com/spf13/cobra"
)

type apiJSON struct {
	ID       string   `json:"id"`
	Audience string   `json:"audience"`
	Name     string   `json:"name"`
	Scopes   []string `json:"scopes"`
	// ScopeTexts are by scope and language.
	ScopeTexts map[string]map[string]string `json:"scope_texts,omitempty"`
	// Kept are the scopes of this API whose names would otherwise be the server's own.
	Kept      []string `json:"kept_scopes,omitempty"`
	AccessTTL string   `json:"access_ttl,omitempty"`
	Roles     bool     `json:"roles"`
	TokenType string   `json:"token_typ"`
	signingJSON
	Encryption *encryptionJSON `json:"encryption,omitempty"`
	CreatedAt  *string         `json:"created_at"`
	// Secrets are those that are shared with the API. APISecret is the one that this
	// command made: it is shown once.
	Secrets   []apiSecretJSON `json:"secrets,omitempty"`
	APISecret string          `json:"api_secret,omitempty"`
}

// encryptionJSON is the key to which access tokens for an API are encrypted.
type encryptionJSON struct {
	Alg        string `json:"alg"`
	KID        string `json:"kid,omitempty"`
	Thumbprint string `json:"thumbprint"`
}

// encryptionOf returns nil for an API without an encryption key.
func encryptionOf(a apis.API) *encryptionJSON {
	if a.EncryptionJWK == "" {
		return nil
	}
	key, err := keys.ParseEncryptionKey([]byte(a.EncryptionJWK))
	if err != nil {
		return &encryptionJSON{Alg: "unreadable"}
	}
	return &encryptionJSON{key.Algorithm(), key.KeyID(), key.Thumbprint()}
}

func (e *encryptionJSON) String() string {
	switch {
	case e == nil:
		return "none"
	case e.KID == "":
		return fmt.Sprintf("%s, thumbprint %s", e.Alg, e.Thumbprint)
	}
	return fmt.Sprintf("%s, kid %s, thumbprint %s", e.Alg, e.KID, e.Thumbprint)
}

// signingJSON is by which algorithm tokens are signed and, where a change has yet to take
// effect, by which one until when.
type signingJSON struct {
	Alg    string  `json:"signing_alg"`
	Former string  `json:"former_signing_alg,omitempty"`
	From   *string `json:"signing_alg_from,omitempty"`
}

func newSigningJSON(s apis.Signing, now time.Time) signingJSON {
	j := signingJSON{Alg: s.Wants()}
	if s.At(now) != s.Wants() {
		j.Former, j.From = s.At(now), instant(s.From)
	}
	return j
}

// signingText says the same for people.
func signingText(s signingJSON) string {
	if s.From == nil {
		return s.Alg
	}
	return fmt.Sprintf("%s from %s, until then %s", s.Alg, instantText(s.From), s.Former)
}

// tellSigning says from when a new algorithm signs, if that is not at once.
func (t *terminal) tellSigning(what string, s signingJSON) {
	if s.From != nil {
		fmt.Fprintf(t.stderr, "%s are signed with %s: verifiers may keep a key set without the new key until then\n", what, signingText(s))
	}
}

func newAPIJSON(a apis.API, own *apis.Own, now time.Time) apiJSON {
	j := apiJSON{ID: a.ID, Audience: a.Audience, Name: a.Name, Scopes: a.Scopes, Kept: own.Kept(a), Roles: a.Roles, TokenType: string(a.TokenType), signingJSON: newSigningJSON(a.Signing, now), Encryption: encryptionOf(a), CreatedAt: instant(a.CreatedAt)}
	for _, s := range a.Secrets {
		s.Shown = ""
		j.Secrets = append(j.Secrets, newAPISecretJSON(s))
	}
	if made, ok := a.NewSecret(); ok {
		j.APISecret = made.Shown
	}
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
						out[i] = newAPIJSON(a, c.apis.Own(), t.now())
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
					return t.printJSON(newAPIJSON(a, c.apis.Own(), t.now()))
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
					{"signing alg", signingText(newSigningJSON(a.Signing, t.now()))},
					{"encryption key", encryptionOf(a).String()},
					{"created", text(a.CreatedAt)},
				}...)
				for _, s := range a.Secrets {
					rows = append(rows, [2]string{"secret", secretText(s)})
				}
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

// secretText says which secret it is, of those that are shared with an API.
func secretText(s apis.Secret) string {
	if s.Signs {
		return s.ID + ", added " + text(s.CreatedAt) + ", the one that signs"
	}
	return s.ID + ", added " + text(s.CreatedAt)
}

// ttlText says how long access tokens for an API are valid.
func (c *concerns) ttlText(a apis.API) string {
	if a.AccessTTL == 0 {
		return fmt.Sprintf("%s (default)", c.cfg.Tokens.AccessTTL.Std())
	}
	return a.AccessTTL.String()
}
