package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/keys"
	"github.com/ingam/ingam/web/admin"
	"github.com/spf13/pflag"
)

// apiFlags are the flags with which an API is registered, except its audience.
type apiFlags struct {
	name, scope string
	scopes      listEdit
	texts       [2]scopeTextFlag // in the order of scopeTextFlags
	ttl         durationFlag
	roles       bool
	tokenType   string
	signingAlg  string
	encryption  string
}

// ringFlags are those for which keys of this server may have to be made.
var ringFlags = []string{"signing-alg", "encryption-key"}

func (a *apiFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&a.name, "name", "", "the name that users see")
	f.StringVar(&a.scope, "scope", "", "the scopes that the API offers, separated by spaces; not the server's own, such as openid or phone")
	for i, flag := range scopeTextFlags {
		f.Var(&a.texts[i], flag.name, flag.usage)
	}
	f.Var(&a.ttl, "access-ttl", `life of access tokens for the API, from 1m to 24h, or "default" (the server's tokens.access_ttl)`)
	f.BoolVar(&a.roles, "roles", false, "put the user's roles into access tokens for the API")
	f.StringVar(&a.signingAlg, "signing-alg", apis.DefaultAlg, "the algorithm that signs access tokens for the API: RS256, PS256, ES256 or EdDSA (Ed25519); or HS256, with a secret that only this API and the server have")
	f.StringVar(&a.encryption, "encryption-key", "", `encrypt access tokens for the API to the public key (a JWK) in this FILE, RSA (RSA-OAEP-256) or P-256 (ECDH-ES); "none" removes the key`)
	f.StringVar(&a.tokenType, "token-typ", string(apis.ATJWT), "the typ of access tokens for the API: at+jwt, or JWT for a library that accepts nothing else. ID tokens have the typ JWT too, so such an API must check aud, which in an ID token is a client id")
}

// settings returns what the flags ask for, given the API as it is.
func (a *apiFlags) settings(f *pflag.FlagSet, is admin.API) (s administration.APISettings, err error) {
	for flag, write := range map[string]func(){
		"name":        func() { s.Name = &a.name },
		"roles":       func() { s.Roles = &a.roles },
		"token-typ":   func() { s.TokenType = &a.tokenType },
		"signing-alg": func() { s.SigningAlg = &a.signingAlg },
		"access-ttl":  func() { s.AccessTTL = administration.Null(a.ttl.value()) },
	} {
		if f.Changed(flag) {
			write()
		}
	}
	if a.ttl.of != nil && *a.ttl.of == 0 {
		return s, fmt.Errorf("%w: --access-ttl is zero", apis.ErrInvalid)
	}
	if f.Changed("encryption-key") {
		if s.EncryptionKey, err = readEncryptionKey(a.encryption); err != nil {
			return s, err
		}
	}
	edited := apis.API{Scopes: is.Scopes, ScopeTexts: is.ScopeTexts}
	if f.Changed("scope") {
		if edited.Scopes, err = apis.ParseScope(a.scope); err != nil {
			return s, err
		}
	}
	if err := a.scopes.apply(f, &edited.Scopes); err != nil {
		return s, err
	}
	if changed(f, "scope", "add-scope", "remove-scope") {
		s.Scopes = new(append([]string{}, edited.Scopes...))
	}
	for i, flag := range scopeTextFlags {
		if err := a.texts[i].apply(&edited, flag.language); err != nil {
			return s, fmt.Errorf("--%s: %w", flag.name, err)
		}
		if f.Changed(flag.name) {
			s.ScopeTexts = (*map[string]map[string]string)(&edited.ScopeTexts)
		}
	}
	return s, nil
}

// readEncryptionKey reads a public JWK from a file; "none" is no key.
func readEncryptionKey(path string) (jwk administration.Nullable[map[string]any], err error) {
	if path == "none" {
		return administration.Null[map[string]any](nil), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return jwk, fmt.Errorf("--encryption-key: %w", err)
	}
	// A private key is not sent to anybody.
	key, err := keys.ParseEncryptionKey(text)
	if err != nil {
		return jwk, fmt.Errorf("--encryption-key: %s is %w", path, err)
	}
	return jwk, jwk.UnmarshalJSON([]byte(key.JSON()))
}

// scopeTextFlags are the flags for the texts that tell people what a scope allows, one
// flag per language.
var scopeTextFlags = [...]struct{ name, language, usage string }{
	{"scope-text", "en", `what a scope allows, for the consent page, as the end of "the application would like to …", such as read="read your orders" (repeatable)`},
	{"scope-text-ko", "ko", `the same in Korean, such as read="주문 내역 보기" (repeatable)`},
}

// scopeTextFlag is the values of such a flag: SCOPE=TEXT each.
type scopeTextFlag struct{ values []string }

func (*scopeTextFlag) Type() string { return "SCOPE=TEXT" }

func (*scopeTextFlag) String() string { return "" }

func (s *scopeTextFlag) Set(value string) error {
	if !strings.Contains(value, "=") {
		return errors.New(`it has no equals sign; write for example read="read your orders"`)
	}
	s.values = append(s.values, value)
	return nil
}

// apply sets the texts of an API whose scopes are already set; an empty text removes
// one.
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
