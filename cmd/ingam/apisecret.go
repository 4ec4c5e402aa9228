package main

import (
	"errors"
	"fmt"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/keys"
	"github.com/spf13/cobra"
)

func apiSecret(t *terminal) *cobra.Command {
	return group("secret", "The secrets that are shared with an API, for HS256", apiSecretAdd(t), apiSecretUse(t), apiSecretRemove(t))
}

type apiSecretJSON struct {
	ID        string  `json:"id"`
	Signs     bool    `json:"signs"`
	CreatedAt *string `json:"created_at"`
	APISecret string  `json:"api_secret,omitempty"`
}

func newAPISecretJSON(s apis.Secret) apiSecretJSON {
	return apiSecretJSON{s.ID, s.Signs, instant(s.CreatedAt), s.Shown}
}

func apiSecretAdd(t *terminal) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "add AUDIENCE",
		Short: "Make a further secret for an API; it does not sign yet",
		Long: `Make a further secret for an API. It does not sign: give it to the API beside the one that
does, and then let it sign with: ingam api secret use AUDIENCE SECRET-ID. An API whose
tokens have another algorithm can get its first secret so, before they change to HS256.`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withKeyring(cmd, func(c *concerns, k *keys.Keyring) error {
				c.apis.Rings = k
				made, err := c.apis.AddSecret(cmd.Context(), args[0], c.actor)
				if err != nil {
					return ofAPI(args[0], err)
				}
				c.settle(cmd.Context()) // or the API has it before a server does
				if asJSON {
					return t.printJSON(newAPISecretJSON(made))
				}
				fmt.Fprintf(t.stdout, "added secret %s to API %s; it does not sign yet\n", made.ID, args[0])
				t.showAPISecret(made)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func apiSecretUse(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "use AUDIENCE SECRET-ID", Short: "Let a secret sign, once the API has it", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				changed, err := c.apis.UseSecret(cmd.Context(), args[0], args[1], c.actor)
				if err != nil {
					return ofAPI(args[0], err)
				}
				if !changed {
					fmt.Fprintf(t.stdout, "unchanged: secret %s of API %s is the one that signs\n", args[1], args[0])
					return nil
				}
				c.settle(cmd.Context())
				fmt.Fprintf(t.stdout, "secret %s of API %s is the one that signs\n", args[1], args[0])
				return nil
			})
		},
	}
}

func apiSecretRemove(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use: "remove AUDIENCE SECRET-ID", Short: "Remove a secret that does not sign any more, and all tokens that it signed", Args: exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return t.withConcerns(cmd, func(c *concerns) error {
				if err := c.apis.RemoveSecret(cmd.Context(), args[0], args[1], c.actor); err != nil {
					return ofAPI(args[0], err)
				}
				c.settle(cmd.Context())
				fmt.Fprintf(t.stdout, "removed secret %s of API %s: introspection refuses what it signed; the API itself does once it has forgotten the secret\n", args[1], args[0])
				return nil
			})
		},
	}
}

// ofAPI says which API an error is about, and what would help.
func ofAPI(audience string, err error) error {
	switch named := named("API "+audience, err); {
	case errors.Is(err, apis.ErrTooManySecrets):
		return fmt.Errorf("%w: ingam api secret remove %s SECRET-ID", named, audience)
	case errors.Is(err, apis.ErrSecretSigns), errors.Is(err, apis.ErrNoneSigns):
		return fmt.Errorf("%w: ingam api secret use %s SECRET-ID", named, audience)
	case errors.Is(err, apis.ErrSecretNotFound):
		return fmt.Errorf("%w (ingam api show %s has those that there are)", named, audience)
	default:
		return named
	}
}

// showAPISecret shows a secret to the operator who made it.
func (t *terminal) showAPISecret(s apis.Secret) {
	fmt.Fprintf(t.stdout, "api_secret: %s\n", s.Shown)
	fmt.Fprintln(t.stderr, "Keep the secret now: it cannot be shown again. Whoever has it can make tokens for this API. It is base64url of the 32 bytes that are the key.")
}

// tellShared says what it means that an API has come to share a secret with the server.
func (t *terminal) tellShared(a apis.API, before bool) {
	if s, ok := a.NewSecret(); ok {
		fmt.Fprintf(t.stdout, "secret %s signs access tokens for the API from now on\n", s.ID)
		t.showAPISecret(s)
	} else if s, ok := a.SigningSecret(); ok && !before && a.Signing.Wants() == apis.SharedAlg {
		fmt.Fprintf(t.stdout, "secret %s signs access tokens for the API from now on\n", s.ID)
	}
}
