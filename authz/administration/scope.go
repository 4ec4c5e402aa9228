package administration

import "github.com/ingam/ingam/authz/apis"

// The scopes of the admin API, by resource and act. A user has one through the role of the
// same name.
const (
	// All is every other scope, and alone reaches what could reach further: administrators,
	// their clients, and the admin API itself.
	All = apis.AdministrationAll

	APIsRead  = "ingam:apis:read"
	APIsWrite = "ingam:apis:write"

	ClientsRead  = "ingam:clients:read"
	ClientsWrite = "ingam:clients:write"

	KeysRead  = "ingam:keys:read"
	KeysWrite = "ingam:keys:write"

	AuditRead = "ingam:audit:read"

	UsersRead    = "ingam:users:read"
	UsersWrite   = "ingam:users:write"
	SessionsRead = "ingam:sessions:read"
	SessionsEnd  = "ingam:sessions:end"
	OverviewRead = "ingam:overview:read"

	GrantsRead   = "ingam:grants:read"
	GrantsRevoke = "ingam:grants:revoke"
	CutsMake     = "ingam:cuts:make"
)

// Scopes are all of them, with what each allows, as the end of "the application would like
// to …".
var Scopes = []struct{ Name, Text string }{
	{All, "administer the server"},
	{APIsRead, "see which APIs are registered"},
	{APIsWrite, "register, change and delete APIs"},
	{ClientsRead, "see which clients are registered"},
	{ClientsWrite, "register, change and delete clients"},
	{KeysRead, "see the signing keys and their states"},
	{KeysWrite, "rotate and withdraw signing keys"},
	{AuditRead, "read the audit log"},
	{UsersRead, "see who the users are"},
	{UsersWrite, "create, change and delete users, and set their passwords"},
	{SessionsRead, "see where users are signed in"},
	{SessionsEnd, "sign users out"},
	{OverviewRead, "see how much there is, and what happened lately"},
	{GrantsRead, "see what users have allowed to applications"},
	{GrantsRevoke, "revoke what a user has allowed to an application"},
	{CutsMake, "revoke anything that was issued"},
}

// LoginClient is the id of the client of `ingam login`.
const LoginClient = "ingam-cli"

// IsScope reports whether a scope or a role is one of the administration.
func IsScope(name string) bool { return apis.IsAdministration(name) }
