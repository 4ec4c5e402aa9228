package processes

import (
	"encoding/json"
	"fmt"
	"os"
	"os/user"
)

// Exit statuses of commands.
const (
	done   = 0
	failed = 1
	misuse = 2
)

// Types of what commands print with --json. The names are repeated here, as in programs of
// users, so that a test fails if one of them changes.
type (
	accessJSON struct {
		UserID         string           `json:"user_id"`
		Username       string           `json:"username"`
		UserDisabled   bool             `json:"user_disabled"`
		ClientID       string           `json:"client_id"`
		ClientName     string           `json:"client_name"`
		ClientDisabled bool             `json:"client_disabled"`
		Permissions    []permissionJSON `json:"permissions"`
		Since          *string          `json:"since"`
		LastUsed       *string          `json:"last_used"`
	}
	permissionJSON struct {
		Audience string `json:"audience"`
		Scope    string `json:"scope"`
	}
	apiJSON struct {
		Scopes     []string                     `json:"scopes"`
		ScopeTexts map[string]map[string]string `json:"scope_texts"`
	}
	clientJSON struct {
		ID                     string       `json:"client_id"`
		Name                   string       `json:"name"`
		Grants                 []string     `json:"grant_types"`
		RedirectURIs           []string     `json:"redirect_uris"`
		Scopes                 []string     `json:"scopes"`
		Audiences              []string     `json:"audiences"`
		Auth                   string       `json:"token_endpoint_auth_method"`
		PostLogoutRedirectURIs []string     `json:"post_logout_redirect_uris"`
		InsecureRedirects      bool         `json:"insecure_redirects"`
		PKCE                   string       `json:"pkce"`
		RefreshGrace           *string      `json:"refresh_grace"`
		RefreshIDToken         bool         `json:"refresh_id_token"`
		IDTokenClaims          bool         `json:"id_token_claims"`
		FirstParty             bool         `json:"first_party"`
		Hold                   string       `json:"hold"`
		Origins                []string     `json:"origins"`
		Disabled               bool         `json:"disabled"`
		Secrets                []secretJSON `json:"secrets"`
		CreatedAt              *string      `json:"created_at"`
		ClientSecret           string       `json:"client_secret"`
	}
	secretJSON struct {
		ID           string  `json:"id"`
		CreatedAt    *string `json:"created_at"`
		ClientSecret string  `json:"client_secret"`
	}
	eventJSON struct {
		ID          int64             `json:"id"`
		At          *string           `json:"at"`
		Actor       string            `json:"actor"`
		Action      string            `json:"action"`
		Subject     string            `json:"subject"`
		ActorName   string            `json:"actor_name"`
		SubjectName string            `json:"subject_name"`
		UserName    string            `json:"user_name"`
		Reason      string            `json:"reason"`
		Details     map[string]string `json:"details"`
	}
	grantJSON struct {
		ID         string   `json:"id"`
		ClientID   string   `json:"client_id"`
		ClientName string   `json:"client_name"`
		User       string   `json:"user"`
		Username   string   `json:"username"`
		Session    string   `json:"session"`
		Scopes     []string `json:"scopes"`
		Audiences  []string `json:"audiences"`
		Generation int64    `json:"generation"`
		CreatedAt  *string  `json:"created_at"`
		RefreshAt  *string  `json:"refreshed_at"`
		ExpiresAt  *string  `json:"expires_at"`
		Revoked    bool     `json:"revoked"`
	}
	keyJSON struct {
		KID         string  `json:"kid"`
		Ring        string  `json:"ring"`
		State       string  `json:"state"`
		PublishedAt *string `json:"published_at"`
		SignsFrom   *string `json:"signs_from"`
		RetiresAt   *string `json:"retires_at"`
		GoneAt      *string `json:"gone_at"`
		WithdrawnAt *string `json:"withdrawn_at"`
	}
	sessionJSON struct {
		ID         string  `json:"id"`
		User       string  `json:"user"`
		UserID     string  `json:"user_id"`
		CreatedAt  *string `json:"created_at"`
		SeenAt     *string `json:"seen_at"`
		ExpiresAt  *string `json:"expires_at"`
		Address    string  `json:"address"`
		UserAgent  string  `json:"user_agent"`
		ClientID   string  `json:"client_id"`
		ClientName string  `json:"client_name"`
	}
	userJSON struct {
		ID            string                     `json:"id"`
		Username      string                     `json:"username"`
		Email         string                     `json:"email"`
		EmailVerified *bool                      `json:"email_verified"`
		EmailShared   bool                       `json:"email_shared"`
		Roles         []string                   `json:"roles"`
		Claims        map[string]json.RawMessage `json:"claims"`
		Disabled      bool                       `json:"disabled"`
		CreatedAt     *string                    `json:"created_at"`
		Password      string                     `json:"password"`
	}
)

// Names that the demonstration uses.
const (
	demoFolder   = "ingam-demo"
	demoPath     = "/demo"
	demoAudience = "https://api.demo.example"
	demoClient   = "demo-client"
	demoUser     = "demo"
)

// operator returns the actor that the audit has for commands of this process.
func operator() string {
	u, err := user.Current()
	if err != nil {
		return fmt.Sprintf("cli:uid-%d", os.Getuid())
	}
	return "cli:" + u.Username
}
