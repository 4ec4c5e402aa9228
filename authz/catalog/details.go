package catalog

import (
	"fmt"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
)

// details returns what the audit log records of an API: all that can be changed.
func details(a apis.API) map[string]string {
	thumbprint, kid := encryptionNames(a.EncryptionJWK)
	return map[string]string{
		"name": a.Name, "scope": strings.Join(a.Scopes, " "), "access_ttl": a.AccessTTL.String(), "roles": fmt.Sprint(a.Roles), "token_typ": string(a.TokenType),
		"scope_texts": a.ScopeTexts.String(), "signing_alg": a.Signing.Wants(), "secret_ids": a.SecretIDs(),
		"encryption_key": thumbprint, "encryption_kid": kid,
	}
}

// changed returns what the audit log records of an update. There can be many texts of
// scopes, so only those that changed are recorded.
func changed(was, is apis.API) map[string]string {
	was.ScopeTexts, is.ScopeTexts = was.ScopeTexts.Without(is.ScopeTexts), is.ScopeTexts.Without(was.ScopeTexts)
	return audit.Changed(details(was), details(is))
}
