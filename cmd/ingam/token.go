package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/status"
	"github.com/ingam/ingam/authz/tokens"
	"github.com/ingam/ingam/config"
	"github.com/ingam/ingam/keys"
)

func tokenCommand(t *terminal) *cobra.Command {
	return group("token", "Look at tokens the way a resource server does", tokenVerify(t))
}

// tokenVerify checks a token as any resource server does: with no database, and with
// only the keys that the server publishes.
func tokenVerify(t *terminal) *cobra.Command {
	var (
		audience, typ string
		noStatus      bool
	)
	cmd := &cobra.Command{
		Use:   "verify --issuer URL < token",
		Short: "Check an access token as a resource server does",
		Long: "Check the access token on standard input (the token, or the whole JSON answer of the token\n" +
			"endpoint) against the issuer's published keys and the status list, and print its claims.\n" +
			"The list may be some seconds old; introspection is exact.",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := t.load(cmd, config.ForIssuer)
			if err != nil {
				return err
			}
			token, err := readToken(t.stdin)
			if err != nil {
				return err
			}
			if tokens.IsEncrypted(token) {
				return errors.New("the token is encrypted: only the API that it is for can check it; introspection says whether it is active")
			}
			issuer := cfg.Issuer.String()
			set, err := fetchKeys(cmd.Context(), issuer)
			if err != nil {
				return err
			}
			if typ == tokens.IDType {
				typ = tokens.AccessTypeOf(token)
			} else if typ != tokens.AccessType {
				return usage(cmd, "--token-typ is at+jwt or JWT")
			}
			if len(token) > keys.MaxTokenLength {
				return fmt.Errorf("the token is longer than %d bytes", keys.MaxTokenLength)
			}
			verified, err := set.Verify(token, typ)
			if err != nil {
				return err
			}
			access, err := tokens.ParseAccess(verified.Payload, issuer, listsOf(cfg))
			if err != nil {
				return err
			}
			switch {
			case !t.now().Before(access.ExpiresAt):
				return fmt.Errorf("the token expired at %s", text(access.ExpiresAt))
			case access.IssuedAt.After(t.now().Add(clockSkew)):
				return fmt.Errorf("the token was issued in the future, at %s", text(access.IssuedAt))
			case audience != "" && !slices.Contains(access.Audience, audience):
				return fmt.Errorf("the token is for %s, not for %s", strings.Join(access.Audience, ", "), audience)
			}
			revocation := "It was not revoked, by its status list."
			switch {
			case noStatus:
				revocation = "Whether it was revoked was not checked."
			case access.Status == status.Ref{}:
				revocation = "Whether it was revoked cannot be checked: it names no status list."
			default:
				revoked, err := revokedByList(cmd.Context(), set, issuer, listsOf(cfg), access.Status, t.now())
				if err != nil {
					return fmt.Errorf("the signature is good, but it is unknown whether the token was revoked (--no-status does not check that): %w", err)
				}
				if revoked {
					return errors.New("the token was revoked, by its status list")
				}
			}
			fmt.Fprintf(t.stderr, "The signature is good: %s signed this with key %s. %s\n", issuer, verified.KID, revocation)
			return t.printJSON(json.RawMessage(verified.Payload))
		},
	}
	cmd.Flags().StringVar(&audience, "audience", "", "the audience that the token must have in aud")
	cmd.Flags().StringVar(&typ, "token-typ", tokens.AccessType, "the typ that the token must have: at+jwt, or JWT to accept both, as an API does that was created with --token-typ JWT")
	cmd.Flags().BoolVar(&noStatus, "no-status", false, "do not check the status list: accept a revoked token until it expires")
	return cmd
}

// maxToken limits how much is read as a token.
const maxToken = 64 << 10

// readToken reads a token, or the answer of a token endpoint with its access_token.
func readToken(r io.Reader) (string, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxToken))
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	s := strings.TrimSpace(string(b))
	if strings.HasPrefix(s, "{") {
		var answer struct {
			AccessToken      string `json:"access_token"`
			Error            string `json:"error"`
			ErrorDescription string `json:"error_description"`
		}
		if err := json.Unmarshal([]byte(s), &answer); err != nil {
			return "", errors.New("standard input is neither a token nor a token endpoint's answer")
		}
		if answer.Error != "" {
			return "", fmt.Errorf("the token endpoint refused: %s: %s", answer.Error, answer.ErrorDescription)
		}
		s = answer.AccessToken
	}
	if s == "" {
		return "", errors.New("there is no token on standard input")
	}
	return s, nil
}

// fetchKeys fetches the issuer's keys, whose address is in its metadata (OpenID Connect
// Discovery 1.0 section 4).
func fetchKeys(ctx context.Context, issuer string) (keys.KeySet, error) {
	var metadata struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	body, err := fetch(ctx, issuer+"/.well-known/openid-configuration", maxDocument)
	if err != nil {
		return keys.KeySet{}, err
	}
	if err := json.Unmarshal(body, &metadata); err != nil {
		return keys.KeySet{}, fmt.Errorf("the metadata of %s cannot be read: %w", issuer, err)
	}
	if metadata.Issuer != issuer {
		// Otherwise one issuer could present its keys as those of another (RFC 8414
		// section 3.3).
		return keys.KeySet{}, fmt.Errorf("the metadata at %s is that of %s", issuer, metadata.Issuer)
	}
	body, err = fetch(ctx, metadata.JWKSURI, maxDocument)
	if err != nil {
		return keys.KeySet{}, err
	}
	return keys.ParseJWKS(body)
}

// maxDocument limits the length of the metadata and of the key set.
const maxDocument = 1 << 20

// fetch returns the document at an address, which must not be longer than limit.
func fetch(ctx context.Context, url string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		// Not resp.Status: its text is the server's, and could control the terminal.
		return nil, fmt.Errorf("GET %s: %d %s", url, resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err == nil && int64(len(body)) > limit {
		return nil, fmt.Errorf("GET %s: the answer is longer than %d bytes", url, limit)
	}
	return body, err
}
