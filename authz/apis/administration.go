package apis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// administrationPrefix begins the name of each scope of the admin API, and of each role that
// makes an administrator. No other API has such scopes.
const administrationPrefix = "ingam:"

// AdministrationAll is the scope, and the role, that includes all others of the
// administration.
const AdministrationAll = administrationPrefix + "admin"

// IsAdministration reports whether a scope or a role is one of the administration.
func IsAdministration(name string) bool { return strings.HasPrefix(name, administrationPrefix) }

// Administers reports whether the API is that of the administration: it offers scopes of it.
func (a API) Administers() bool { return slices.ContainsFunc(a.Scopes, IsAdministration) }

// validAdministration refuses what the API of the administration cannot be: its tokens are
// made in one way only, so that nobody can make them weaker.
func (a API) validAdministration() error {
	const of = "the API of the administration "
	switch {
	case !a.Administers():
		return nil
	case !slices.Contains(a.Scopes, AdministrationAll):
		return at(errors.New(of+"offers the scope "+AdministrationAll), "scopes")
	case a.TokenType != "" && a.TokenType != ATJWT:
		return at(fmt.Errorf("%shas tokens of the type %s", of, ATJWT), "token_typ")
	case a.Signing.Wants() != DefaultAlg:
		return at(fmt.Errorf("%shas tokens that are signed with %s", of, DefaultAlg), "signing_alg")
	case a.EncryptionJWK != "":
		return at(errors.New(of+"has tokens that are not encrypted"), "encryption_key")
	}
	return nil
}
