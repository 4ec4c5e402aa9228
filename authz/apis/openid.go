package apis

import "slices"

// The scopes that the server itself understands; no API offers them.
const (
	OpenID        = "openid"         // an ID token, and userinfo (OpenID Connect Core 1.0 section 3.1.2.1)
	Profile       = "profile"        // the claims of section 5.4
	Email         = "email"          // the same
	OfflineAccess = "offline_access" // the grant outlives the login session (section 11)
)

// Standard are these scopes.
var Standard = []string{OpenID, Profile, Email, OfflineAccess}

// IsStandard reports whether the scope is the server's own.
func IsStandard(scope string) bool { return slices.Contains(Standard, scope) }
