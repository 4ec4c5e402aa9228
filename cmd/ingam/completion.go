package main

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/authz/apis"
	"github.com/ingam/ingam/authz/clients"
	"github.com/ingam/ingam/keys"
)

// isCompletion reports whether a shell asks how a command can go on.
func isCompletion(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// complete says what can follow in a shell: the values of flags that have few, and files only
// where a file is meant. What is registered is not asked for: a key that is pressed should not
// have to wait for a database or a server.
func complete(root *cobra.Command) {
	values := flagValues()
	for _, cmd := range descendants(root) {
		if cmd.ValidArgsFunction == nil && cmd.Name() != "restore" {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		for name, of := range values {
			if cmd.LocalFlags().Lookup(name) != nil && cmd.Name() != "revoke" { // its --grant is an id
				_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(of, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	}
}

// descendants returns a command and all below it.
func descendants(of *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{of}
	for _, c := range of.Commands() {
		all = append(all, descendants(c)...)
	}
	return all
}

// flagValues returns the values that flags can have, by their names.
func flagValues() map[string][]string {
	algorithms, rings := words(keys.Algorithms()), []string{}
	for _, a := range keys.Algorithms() {
		rings = append(rings, string(keys.TokensBy(a)))
	}
	grants := []string{clients.AuthorizationCode, clients.RefreshToken, clients.ClientCredentials, clients.SignIn}
	var roles []string
	for _, s := range administration.Scopes {
		roles = append(roles, s.Name)
	}
	return map[string][]string{
		"grant": grants, "add-grant": grants, "remove-grant": grants,
		"role": roles, "add-role": roles, "remove-role": roles,
		"ring":         append(rings, string(keys.Refresh), string(keys.Seals)),
		"signing-alg":  append(algorithms, apis.SharedAlg),
		"id-token-alg": algorithms,
		"token-typ":    {string(apis.ATJWT), string(apis.PlainJWT)},
		"pkce":         words([]clients.PKCE{clients.PKCERequired, clients.PKCENonce, clients.PKCEOptional}),
		"hold":         words([]clients.Hold{clients.HoldMemory, clients.HoldCookie}),
		"auth":         words([]clients.AuthMethod{clients.SecretBasic, clients.SecretPost, clients.None}),
		"log-level":    {"debug", "info", "warn", "error"},
		"server":       signedInAt(),
	}
}

func words[T ~string](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// signedInAt returns the servers at which somebody is signed in on this machine.
func signedInAt() []string {
	file, err := loginFile()
	if err != nil {
		return nil
	}
	all, err := (&remote{file: file}).all()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(all))
}
