package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ingam/ingam/authz/administration"
	"github.com/ingam/ingam/web/admin"
)

// errPlanned: there is something to change, and it was only to be planned.
var errPlanned = errors.New("there is something to change")

func applyCommand(t *terminal) *cobra.Command {
	var (
		files, reason string
		only, prune   bool
	)
	cmd := &cobra.Command{
		Use:   "apply -f DIR [--plan] [--prune]",
		Short: "Bring APIs, clients and administrators' roles to what YAML files say",
		Long: `Bring APIs, clients and administrators' roles to what YAML files say, in one transaction.
It prints what it changes; with --plan it only prints that, and exits with 3 if there is
something. What a record does not say is as in a new one that does not say it, except
secrets, which stay. Secrets are references: env:NAME or file:PATH.`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := require(cmd, "file"); err != nil {
				return err
			}
			d, at, err := readDesired(files, t.environ)
			if err != nil {
				return err
			}
			return t.withDesired(cmd, d, func(api *adminAPI) error {
				send := func(query url.Values, plan string) (p admin.Plan, err error) {
					_, err = api.do(cmd.Context(), request{
						method: http.MethodPost, path: "/apply", query: query,
						body: admin.Application{Desired: d, Prune: prune, Plan: plan},
					}, &p)
					return p, at.located(err)
				}
				plan, err := send(url.Values{"dry_run": {"true"}}, "")
				if err != nil {
					return err
				}
				t.printPlan(plan)
				switch {
				case len(plan.Steps) == 0:
					return nil
				case only:
					return errPlanned
				}
				done, err := send(reasoned(reason), plan.Plan)
				if err != nil {
					return err
				}
				fmt.Fprintln(t.stdout, "applied")
				for _, s := range done.Steps {
					if s.ClientSecret != "" {
						fmt.Fprintf(t.stdout, "client_secret of %s: %s\n", s.ID, s.ClientSecret)
					}
				}
				return nil
			})
		},
	}
	f := cmd.Flags()
	f.StringVarP(&files, "file", "f", "", "a folder with .yaml files, or one file")
	f.BoolVar(&only, "plan", false, "only print what would be changed; exit with 3 if there is something")
	f.BoolVar(&prune, "prune", false, "also delete what a file once made, and is in none any more")
	f.StringVar(&reason, "reason", "", "why, for the audit log")
	return cmd
}

// withDesired is withAdmin with the master key, if keys for an algorithm may have to be made.
func (t *terminal) withDesired(cmd *cobra.Command, d administration.Desired, do func(*adminAPI) error) error {
	if !d.WantsKeys() {
		return t.withAdmin(cmd, do)
	}
	return t.withAdminKeys(cmd, do)
}

// printPlan prints a plan, a line for each record and for each of its members.
func (t *terminal) printPlan(p admin.Plan) {
	if len(p.Steps) == 0 {
		fmt.Fprintln(t.stdout, "nothing to change")
	}
	signs := map[string]string{administration.StepCreate: "+", administration.StepChange: "~", administration.StepDelete: "-"}
	for _, s := range p.Steps {
		drift := ""
		if s.Drift {
			drift = " (changed by hand since it was last applied)"
		}
		fmt.Fprintf(t.stdout, "%s %s %s%s\n", signs[s.Action], s.Kind, visible(s.ID), drift)
		for _, d := range s.Changes {
			if s.Action == administration.StepCreate {
				fmt.Fprintf(t.stdout, "    %s: %s\n", d.Member, visible(string(d.Next)))
			} else {
				fmt.Fprintf(t.stdout, "    %s: %s -> %s\n", d.Member, visible(string(d.Former)), visible(string(d.Next)))
			}
		}
	}
}

// places are where the records of files stand, by kind and number, as in what is sent.
type places map[string][]place

// located says in which file and line an error of the admin API is.
func (at places) located(err error) error {
	var p *problemError
	if !errors.As(err, &p) || len(p.Errors) == 0 {
		return err
	}
	path := strings.Split(strings.TrimPrefix(p.Errors[0].Pointer, "/"), "/")
	if len(path) < 2 {
		return err
	}
	n, wrong := strconv.Atoi(path[1])
	records := at[path[0]]
	if wrong != nil || n < 0 || n >= len(records) {
		return err
	}
	return records[n].member(path[2:]).wrong("%w", err)
}

// member returns the place of a member, or of the innermost one around it that is there.
func (p place) member(path []string) place {
	for i := 0; len(path) > 0 && i < len(p.node.Content); i++ {
		number, err := strconv.Atoi(path[0])
		switch list := err == nil && number < len(p.node.Content); {
		case list:
			return place{p.file, p.node.Content[number]}.member(path[1:])
		case i%2 == 0 && i+1 < len(p.node.Content) && p.node.Content[i].Value == path[0]:
			value := place{p.file, p.node.Content[i+1]}
			if len(path) == 1 || len(value.node.Content) == 0 {
				return place{p.file, p.node.Content[i]}
			}
			return value.member(path[1:])
		}
	}
	return p
}

// readDesired reads what an installation is to have from all files of a folder.
func readDesired(path string, environ []string) (d administration.Desired, at places, err error) {
	files, err := yamlFiles(path)
	if err != nil {
		return d, nil, err
	}
	at = places{}
	for _, file := range files {
		err := readYAML(file, func(document place) error {
			var part administration.Desired
			if err := document.into(&part); err != nil {
				return err
			}
			for i, c := range part.Clients {
				secret, err := resolve(c.Secret, filepath.Dir(file), environ)
				if err != nil {
					return document.member([]string{"clients", strconv.Itoa(i), "client_secret"}).wrong("%w", err)
				}
				part.Clients[i].Secret = secret
			}
			d.APIs, d.Clients = append(d.APIs, part.APIs...), append(d.Clients, part.Clients...)
			d.Administrators = append(d.Administrators, part.Administrators...)
			for _, kind := range []string{"apis", "clients", "administrators"} {
				if list := document.member([]string{kind, "0"}); list.node != document.node {
					at[kind] = append(at[kind], document.items(kind)...)
				}
			}
			return nil
		})
		if err != nil {
			return d, nil, err
		}
	}
	return d, at, nil
}

// items returns the places of the items of a list of a mapping.
func (p place) items(name string) (items []place) {
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		if p.node.Content[i].Value == name {
			for _, item := range p.node.Content[i+1].Content {
				items = append(items, place{p.file, item})
			}
		}
	}
	return items
}

// resolve returns the secret that a reference names. A secret itself is none: it would be
// in whatever keeps the files.
func resolve(reference, folder string, environ []string) (string, error) {
	kind, name, _ := strings.Cut(reference, ":")
	switch {
	case reference == "":
		return "", nil
	case kind == "env":
		for _, entry := range slices.Backward(environ) {
			if value, ok := strings.CutPrefix(entry, name+"="); ok && value != "" {
				return value, nil
			}
		}
		return "", fmt.Errorf("the environment variable %s is not set", name)
	case kind == "file":
		if !filepath.IsAbs(name) {
			name = filepath.Join(folder, name)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		if secret := strings.TrimRight(string(b), "\r\n"); secret != "" {
			return secret, nil
		}
		return "", fmt.Errorf("%s is empty", name)
	}
	return "", errors.New("a secret is a reference: env:NAME or file:PATH")
}
