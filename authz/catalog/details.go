package catalog

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/audit"
	"github.com/ingam/ingam/authz/changes"
)

// Details returns what the audit log records of an API: all that can be changed. A key to
// encrypt to is recorded by its thumbprint, of which the kid is no part, and its kid.
func Details(a apis.API) map[string]string {
	alg, kid, thumbprint := Encryption(a)
	return map[string]string{
		"name": a.Name, "scope": strings.Join(a.Scopes, " "), "access_ttl": a.AccessTTL.String(), "roles": fmt.Sprint(a.Roles), "token_typ": string(a.TokenType),
		"scope_texts": a.ScopeTexts.String(), "signing_alg": a.Signing.Wants(), "secret_ids": a.SecretIDs(),
		"encryption_key": cmp.Or(thumbprint, alg), "encryption_kid": kid,
	}
}

// changed returns what the audit log records of an update. There can be many texts of
// scopes, so only those that changed are recorded.
func changed(was, is apis.API) map[string]string {
	was.ScopeTexts, is.ScopeTexts = was.ScopeTexts.Without(is.ScopeTexts), is.ScopeTexts.Without(was.ScopeTexts)
	return audit.Changed(Details(was), Details(is))
}

// Version is another one after every change of what an administrator sees of the API.
func Version(a apis.API) string {
	a.ScopeTexts = a.ScopeTexts.Of(a.Scopes)
	facts := Details(a)
	facts["id"], facts["audience"] = a.ID, a.Audience
	if !a.Signing.From.IsZero() {
		facts["signing_alg_from"] = fmt.Sprint(a.Signing.From.UnixMilli())
	}
	for _, s := range a.Secrets {
		facts["secret "+s.ID] = fmt.Sprint(s.Signs)
	}
	return changes.Version(facts)
}
